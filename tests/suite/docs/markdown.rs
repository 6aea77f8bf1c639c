//! The parts of a Markdown page that the tests look at: blocks of commands, links and headings.

/// A block of shell commands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The number of its first line, from 1.
    pub(super) line: usize,
    pub(super) commands: String,
    pub(super) condition: Condition,
}

/// When a block is run, from the comment in the line after it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Always,
    /// `<!-- needs: zstd jq -->`: only if these programs are installed.
    Needs(Vec<String>),
    /// `<!-- not run: REASON -->`.
    NotRun(String),
}

impl Condition {
    fn of(line: Option<&str>) -> Self {
        let comment = line.and_then(|line| line.trim().strip_prefix("<!-- ")?.strip_suffix(" -->"));
        if let Some(programs) = comment.and_then(|comment| comment.strip_prefix("needs: ")) {
            return Self::Needs(programs.split(' ').map(str::to_owned).collect());
        }
        match comment.and_then(|comment| comment.strip_prefix("not run: ")) {
            Some(reason) => Self::NotRun(reason.to_owned()),
            None => Self::Always,
        }
    }
}

/// Returns the blocks that are marked `sh` or `bash`.
pub(super) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate().peekable();
    while let Some((_, line)) = lines.next() {
        let Some(language) = line.trim_start().strip_prefix("```") else { continue };
        let first = lines.peek().map_or(0, |(number, _)| number + 1);
        let mut commands = String::new();
        for (_, line) in lines.by_ref().take_while(|(_, line)| line.trim() != "```") {
            commands.push_str(line);
            commands.push('\n');
        }
        if matches!(language, "sh" | "bash") {
            let condition = Condition::of(lines.peek().map(|(_, line)| *line));
            blocks.push(Block { line: first, commands, condition });
        }
    }
    blocks
}

/// Returns the page without its blocks and `code`, in which brackets and `#` mean something else.
pub(super) fn prose(page: &str) -> String {
    let mut prose = String::new();
    let mut is_block = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
        } else if !is_block {
            // A heading is kept with its code: its anchor has the words.
            let is_heading = line.starts_with('#');
            let words = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
            prose.push_str(if is_heading { line } else { &words });
            prose.push('\n');
        }
    }
    prose
}

/// Returns the targets of the links and pictures.
pub(super) fn links(page: &str) -> Vec<String> {
    let prose = prose(page);
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

/// Returns the anchors of the headings, as GitHub makes them.
pub(super) fn anchors(page: &str) -> Vec<String> {
    let prose = prose(page);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
            let words: String = heading.trim_start_matches('#').trim().chars().filter(kept).collect();
            words.to_lowercase().replace(' ', "-")
        })
        .collect()
}

#[test]
fn blocks_links_and_anchors_are_found() {
    let page = "# One `--two`, three\n[a](b.md#c) `[x](y)`\n```sh\na\n```\n<!-- needs: jq od -->\n```text\nb\n```\n\
                ```bash\nc\n  d\n```\n<!-- not run: why -->\n```sh\ne\n```\n## See\n";
    let found: Vec<_> =
        blocks(page).into_iter().map(|block| (block.line, block.commands, block.condition)).collect();
    assert_eq!(
        found,
        [
            (4, "a\n".to_owned(), Condition::Needs(vec!["jq".to_owned(), "od".to_owned()])),
            (11, "c\n  d\n".to_owned(), Condition::NotRun("why".to_owned())),
            (16, "e\n".to_owned(), Condition::Always),
        ]
    );
    assert_eq!(links(page), ["b.md#c"]);
    assert_eq!(anchors(page), ["one---two-three", "see"]);
}
