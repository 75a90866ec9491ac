"""Languages that are only generated: their code is there, and reads as its language does."""

import re
from pathlib import Path

from support.polyglot import PAGES, Language
from support.typed_pages import ROOT, TypedPage


def test_csharp_has_its_namespace_and_no_name_that_clashes(
    generated: Language, tmp_path: Path
) -> None:
    TypedPage(PAGES / "README.md", tmp_path).type()
    sources = {path.name: path.read_text() for path in (tmp_path / "Contract").glob("*.cs")}
    assert len(sources) == len(list((ROOT / "proto" / "waystation" / "v1").glob("*.proto")))
    for source in sources.values():
        assert "namespace Waystation.V1 {" in source
        # A property that is called as its message, or as what every message has, gets an underscore.
        assert not re.findall(r"public [\w.:<>]+ (\w+_) \{", source)
