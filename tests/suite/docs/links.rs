//! Links between pages and to files lead to what is there; those to other hosts are not followed.

use std::path::PathBuf;

use super::{markdown, pages, root, text};

#[test]
fn every_link_leads_to_a_file_and_every_anchor_to_a_heading() {
    let mut broken = Vec::new();
    let mut links = 0;
    let others = ["benches/README.md", "fixtures/README.md", "CHANGELOG.md"].map(PathBuf::from);
    for page in pages().into_iter().chain(others) {
        for link in markdown::links(&text(&page)) {
            if link.contains("://") {
                continue;
            }
            links += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let folder = page.parent().map(PathBuf::from).unwrap_or_default();
            let target = if file.is_empty() { page.clone() } else { folder.join(file) };
            let is_there = root().join(&target).exists();
            let is_found = anchor.is_empty() || markdown::anchors(&text(&target)).iter().any(|a| a == anchor);
            if !is_there || !is_found {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "these lead nowhere:\n  {}", broken.join("\n  "));
    assert!(links > 40, "only {links} links were found");
}

#[test]
fn every_page_can_be_reached_from_the_readme() {
    let mut reached = vec![PathBuf::from("README.md")];
    let mut next = 0;
    while next < reached.len() {
        let page = reached[next].clone();
        let folder = page.parent().map(PathBuf::from).unwrap_or_default();
        for link in markdown::links(&text(&page)) {
            let file = link.split('#').next().unwrap_or_default();
            let Ok(target) = root().join(folder.join(file)).canonicalize() else { continue };
            let Ok(target) = target.strip_prefix(root().canonicalize().expect("the root")) else { continue };
            let is_page = target.extension().is_some_and(|extension| extension == "md");
            if is_page && !reached.iter().any(|page| page == target) {
                reached.push(target.to_owned());
            }
        }
        next += 1;
    }
    let lost: Vec<_> = pages().into_iter().filter(|page| !reached.contains(page)).collect();
    assert!(lost.is_empty(), "no page leads to {lost:?}");
}
