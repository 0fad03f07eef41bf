import pytest
from packaging.licenses import canonicalize_license_expression

from pipeline.filters.code.licenses import PERMISSIVE
from pipeline.filters.code.notices import LICENSES
from pipeline.filters.code.settings import CodeFilters, Comments
from pipeline.filters.code.syntaxes import SYNTAXES
from pipeline.ingest.code.languages import LANGUAGES


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("GPL3", "SPDX has no 'GPL3'; did you mean 'GPL-3.0-only' or 'GPL-3.0-or-later'?"),
        ("gplv2", "SPDX has no 'gplv2'; did you mean 'GPL-2.0-only' or 'GPL-2.0-or-later'?"),
        ("Apache2", "SPDX has no 'Apache2'; did you mean 'Apache-2.0'?"),
        ("BSD", "SPDX has no 'BSD'; did you mean 'BSD-1-Clause' or 'BSD-2-Clause' or"),
        ("MITT", "SPDX has no 'MITT'; did you mean 'MIT'?"),
        ("Unlicence", "SPDX has no 'Unlicence'; did you mean 'Unlicense'?"),
        ("GNU GPL v3", "'GNU GPL v3' is not the SPDX name of one licence; did you mean 'GPL-3.0-only'"),
        ("MIT OR Apache-2.0", "'MIT OR Apache-2.0' is not the SPDX name of one licence"),
        ("none", "'none' is not the SPDX name of one licence"),
    ],
)
def test_typing_errors_for_licences_are_refused_with_what_may_have_been_meant(name: str, said: str) -> None:
    with pytest.raises(ValueError, match="licenses: ") as fault:
        CodeFilters(licenses=("MIT", name))
    assert str(fault.value).startswith(f"licenses: {said}")


def test_licences_of_spdx_our_own_and_those_that_may_come_are_taken() -> None:
    true = {*PERMISSIVE, *LICENSES} - {"FSL-1.1"}  # which SPDX has as FSL-1.1-MIT and FSL-1.1-ALv2
    for name in true:
        assert canonicalize_license_expression(name).lower() == name.lower()
    others = ("mit", "GPL-2.0", "gpl-2.0+", "LicenseRef-scancode-xyz", "EUPL-1.3", "BSD-2-Clause-Views", "OpenTech-1.0")
    joint = ("GPL-3.0-only WITH Classpath-exception-2.0", "gpl-2.0-only with new-exception-1.0")
    asked = (*sorted({*true, "FSL-1.1"}), *others, *joint)
    assert CodeFilters(licenses=asked).licenses == asked


@pytest.mark.parametrize(
    ("name", "meant"),
    [("Pyton", "python"), ("javascrpt", "javascript"), ("C+", "c++"), ("Jav", "java"), ("Type Scripts", "typescript")],
)
def test_typing_errors_for_languages_are_refused_with_what_may_have_been_meant(name: str, meant: str) -> None:
    with pytest.raises(ValueError, match="languages: ") as fault:
        CodeFilters(languages=("C", name))
    assert str(fault.value) == f"languages: there is no language {name!r}; did you mean '{meant}'?"
    with pytest.raises(ValueError, match=r"languages: how .* writes comments is not known; did you mean"):
        Comments(languages=(name,))


def test_languages_that_we_know_and_names_that_only_a_table_may_hold_are_taken() -> None:
    tables = ("Befunge", "Objective-J", "protocol-buffer", "Forth", "HTML+ECR", "c-sharp", "Perl 6", "Zeek")
    asked = (*sorted({*LANGUAGES, *SYNTAXES}), "PYTHON", *tables)
    assert CodeFilters(languages=asked).languages == asked
    assert Comments(languages=("Rust", "C++")).languages == ("Rust", "C++")
    with pytest.raises(ValueError, match=r"languages: how 'Befunge' writes comments is not known$"):
        Comments(languages=("Befunge",))
