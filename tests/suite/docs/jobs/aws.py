"""Stands in for the AWS CLI: checks the parameters of a call by botocore's model of the service, and records them.

The call is the arguments; the record is a line of JSON in the file that the variable RECORD names."""

import json
import os
import sys

import botocore.session
import botocore.validate

service, operation, *words = sys.argv[1:]
model = botocore.session.get_session().get_service_model(service)
shape = model.operation_model("".join(word.title() for word in operation.split("-"))).input_shape
parameters = {}
for flag, value in zip(words[::2], words[1::2]):
    if flag in ("--query", "--output"):
        continue
    first, *rest = flag.removeprefix("--").split("-")
    name = first + "".join(word.title() for word in rest)
    parameters[name] = json.loads(value) if value.lstrip().startswith("{") else value
report = botocore.validate.ParamValidator().validate(parameters, shape)
if report.has_errors():
    sys.exit(f"{operation}: {report.generate_report()}")
with open(os.environ["RECORD"], "a") as record:
    print(json.dumps(parameters), file=record)
print("job-id")
