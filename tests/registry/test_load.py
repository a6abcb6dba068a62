"""Bad registry files give one line with file, field and fix; good ones give the right trials."""

import re
import shutil
import subprocess
import sys

import pytest

from registry.load import Registry
from registry.places import CHALLENGES, TEMPLATE
from registry.spec import InputError, Threat


def reading(folder):
    return Registry(folder, folder / "no-submissions")


def spoil(folder, old, new, file="tracks/quickstart.toml"):
    path = folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


SPOILT_TRACKS = {
    "an unknown field": (
        "seeds = 3",
        "seeds = 3\nseads = 4",
        "unknown field 'seads' is not a field; did you mean 'seeds'?",
    ),
    "an unknown field of an entry": (
        "lambda = [1e-4",
        "lamda = [1e-4",
        "entry 2: unknown field 'lamda' is not a field; did you mean 'lambda'?",
    ),
    "a wrong type": ("seeds = 3", 'seeds = "three"', "seeds: input should be a valid integer"),
    "a missing field": ("seeds = 3\n", "", "seeds: field required"),
    "a NaN λ": ("[0.01, 0.1, 0.4]", "[0.01, nan, 0.4]", "entry 3: lambda 2: "),
    "an infinite λ": ("[0.01, 0.1, 0.4]", "[0.01, inf, 0.4]", "entry 3: lambda 2: "),
    "a negative λ": ("[0.01, 0.1, 0.4]", "[0.01, -0.1, 0.4]", "entry 3: lambda 2: "),
    "no λ": ("[0.01, 0.1, 0.4]", "[]", "entry 3: lambda: "),
    "an unknown regularizer": (
        '"input_gradient"',
        '"input_gradeint"',
        "entry 3: regularizer 'input_gradeint' is not registered; did you mean 'input_gradient'?",
    ),
    "an unknown option": ('"jacobian"', '"jacobian:projektions=1"', "did you mean 'projections'?"),
    "an option out of range": (
        '"jacobian"',
        '"jacobian:projections=0"',
        "projections must be at least 1, not 0",
    ),
    "an option of the wrong type": (
        '"jacobian"',
        '"jacobian:projections=many"',
        "projections needs a whole number",
    ),
    "an unknown architecture": (
        '["lenet_300_100"]',
        '["lenet_300_10"]',
        "architecture 'lenet_300_10' is not registered; did you mean 'lenet_300_100'?",
    ),
    "an unknown dataset": (
        '"digits"',
        '"digit"',
        "dataset 'digit' is not registered; did you mean 'digits'?",
    ),
    "a class that there is not": ('"digits"', '"digits:1,10"', "labels from 0 to 9"),
    "a duplicate entry": (
        "[0.01, 0.1, 0.4]",
        "[0.01, 0.1, 0.1]",
        "digits/lenet_300_100/input_gradient/0.1 is given twice",
    ),
    "a method under two spellings": (
        '"jacobian"',
        '"input_gradient:norm=2"',
        "/input_gradient:norm=2/0.01 is digits/lenet_300_100/input_gradient/0.01 of entry 3, spelt "
        "another way",
    ),
    "a λ for the control": (
        'regularizer = "none"',
        'regularizer = "none"\nlambda = 0.1',
        "entry 1: lambda: 'none' is a control",
    ),
    "an unknown attack": ('attack = "deepfool"', 'attack = "deepfol"', "threats 4: attack: "),
    "a setting the attack has not": (
        'attack = "deepfool", norm = "2"',
        'attack = "deepfool", norm = "2", restarts = 3',
        "threats 4: deepfool has no restarts",
    ),
    "a headline that is no threat": (
        'headline = "pgd-inf-0.1"',
        'headline = "pgd-inf-0.2"',
        "'pgd-inf-0.2' is none of the threats",
    ),
    "a threat given twice": (
        "epsilon = 0.5",
        'epsilon = 0.5, steps = 20 }, { attack = "pgd", norm = "2", epsilon = 0.5',
        "pgd-2-0.5 is given twice",
    ),
    "another name than the file's": (
        'name = "quickstart"',
        'name = "slowstart"',
        "must be the file's, 'quickstart'",
    ),
    "no training": (
        "reference_epochs = 15\nfine_tune_epochs = 10\n",
        "",
        "recipe: give reference_epochs",
    ),
    "a recipe for no architecture": (
        "[recipe]",
        "[recipe_for.lenet_5]\nbatch_size = 3\n[recipe]",
        "recipe_for: 'lenet_5'",
    ),
    "a wrong field in a recipe for one": (
        "[recipe]",
        "[recipe_for.lenet_300_100]\nbatchsize = 3\n[recipe]",
        "batchsize",
    ),
    "broken TOML": ("[recipe]", "[recipe", "not valid TOML"),
}


@pytest.mark.parametrize("case", SPOILT_TRACKS)
def test_a_spoilt_track_is_refused_in_one_line_naming_file_and_field(registry_copy, case):
    old, new, expected = SPOILT_TRACKS[case]
    spoil(registry_copy, old, new)
    with pytest.raises(InputError) as caught:
        reading(registry_copy).track("quickstart")
    message = str(caught.value)
    assert "tracks/quickstart.toml: " in message
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "expected"), [(b"", "is empty"), (b'title = "\xff"', "byte 9 is not UTF-8")]
)
def test_a_file_without_readable_content_is_refused(registry_copy, content, expected):
    (registry_copy / "tracks" / "quickstart.toml").write_bytes(content)
    with pytest.raises(InputError, match=expected):
        reading(registry_copy).track("quickstart")


def test_a_card_under_another_folder_name_is_refused(registry_copy):
    (registry_copy / "regularizers" / "jacobian").rename(registry_copy / "regularizers" / "jacobi")
    with pytest.raises(InputError, match="must be the folder's"):
        reading(registry_copy).regularizer("jacobi")


def test_a_card_without_code_is_refused(registry_copy):
    (registry_copy / "regularizers" / "jacobian" / "regularizer.py").unlink()
    with pytest.raises(InputError, match="has no regularizer"):
        reading(registry_copy).regularizer("jacobian")


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("quikstart", "did you mean 'quickstart'?"),
        ("digits/*/jacobain/*", "no track and no entry matches"),
    ],
)
def test_a_selector_that_names_nothing_is_refused_with_the_nearest(selector, expected):
    with pytest.raises(InputError, match=r"digits/|quickstart") as caught:
        Registry().select([selector])
    assert expected in str(caught.value)


def test_globs_choose_entries_and_seeds_limits_them():
    chosen = Registry().select(["digits/*/jacobian/*"], seeds=2)
    ids = {
        (track.name, trial.entry.id, trial.seed)
        for track, trial in chosen
        if track.name == "quickstart"
    }
    assert ids == {
        ("quickstart", f"digits/lenet_300_100/jacobian/{strength}", seed)
        for strength in ("0.01", "0.1", "0.4")
        for seed in (0, 1)
    }


def test_a_track_in_place_of_the_data_set_chooses_that_track_s_entries_alone():
    everywhere = Registry().select(["fashion_mnist/lenet_300_100/jacobian/*"], seeds=1)
    on_track = Registry().select(["open-fashion/lenet_300_100/jacobian/*"], seeds=1)
    assert {track.name for track, _ in everywhere} > {"open-fashion"}
    assert on_track == [pair for pair in everywhere if pair[0].name == "open-fashion"]


def test_overlapping_selectors_choose_a_trial_once():
    once = Registry().select(["quickstart"])
    assert len(Registry().select(["quickstart", "quickstart"])) == len(once)


@pytest.mark.parametrize("name", Registry().track_names)
def test_every_registered_track_reads_and_each_of_its_methods_has_as_many_lambdas(name):
    registry = Registry()
    counts = {}
    for entry in registry.entries(name):
        if entry.regularizer != "none":
            method = entry.architecture, entry.regularizer
            counts[method] = counts.get(method, 0) + 1
    assert len(set(counts.values())) == 1


@pytest.mark.parametrize(
    ("id", "params"),
    [
        ("jacobian:projections=2", {"projections": 2}),
        ("adversarial_training:norm=2,steps=5", {"norm": "2", "steps": 5}),
        ("cross_hoelder:p=inf,q=1", {"p": "inf", "q": "1"}),
        ("cross_hoelder:hessian_weight=2", {"hessian_weight": 2.0}),
        ("adversarial_training:norm=inf", {}),
    ],
)
def test_options_have_the_type_that_the_card_declares(id, params):
    found = Registry().method_and_params(id)[1]
    assert found == params
    assert list(map(type, found.values())) == list(map(type, params.values()))


@pytest.mark.parametrize(
    ("id", "message"),
    [
        ("jacobian:projections=x", "projections needs a whole number, not 'x'"),
        ("jacobian:projections=1.5", "projections needs a whole number, not '1.5'"),
        ("jacobian:projections=0", "projections must be at least 1, not 0"),
        ("adversarial_training:norm=3", "norm must be one of inf, 2, not 3"),
        ("adversarial_training:bound=0", "bound must be at least 0.001, not 0"),
        ("cross_hoelder:hessian_weight=nan", "hessian_weight must be a finite number"),
        ("jacobian:projektions=1", "'projektions'"),
        ("jacobian:projections=1,projections=2", "each name once"),
    ],
)
def test_an_option_that_is_not_allowed_is_refused_in_one_line(id, message):
    with pytest.raises(InputError, match=re.escape(message)) as error:
        Registry().method_and_params(id)
    assert "\n" not in str(error.value)


def test_threats_that_differ_have_ids_that_differ():
    base = {"attack": "pgd", "norm": "inf", "epsilon": 0.1}
    variants = [
        {},
        {"epsilon": 0.2},
        {"norm": "2"},
        {"steps": 40},
        {"step_size": 0.01},
        {"restarts": 2},
        {"loss": "margin"},
    ]
    ids = [Threat(**base | variant).id for variant in variants]
    assert len(set(ids)) == len(ids)
    assert Threat(**base, steps=20).id == "pgd-inf-0.1"


def test_importing_the_registry_loads_no_torch():
    code = (
        "import sys, registry.load; registry.load.Registry().select(['*']); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'timm', 'pandas', 'duckdb')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_higher_tiers_take_the_whole_test_set_unless_the_track_says_how_many(registry_copy):
    track = reading(registry_copy).track("quickstart")
    assert track.tier_parts("verified", 360)[0].examples == 360
    spoil(registry_copy, "seeds = 3", "seeds = 3\ntier_examples = 100")
    fewer = reading(registry_copy).track("quickstart")
    assert fewer.tier_parts("verified", 360)[0].examples == 100
    assert fewer.tier_parts("standard", 60)[0].examples == 60
    trial = reading(registry_copy).select(["quickstart"], seeds=1)[0][1]
    (extended,) = fewer.with_tiers([trial])
    examples = {part.name: part.examples for part in extended.evaluation}
    assert examples["apgd-inf-0.1"] == examples["autoattack-inf-0.1"] == 100


def test_a_track_does_not_list_the_transfer_which_needs_other_models(registry_copy):
    spoil(
        registry_copy,
        "threats = [",
        'threats = [{ attack = "transfer" }, ',
    )
    with pytest.raises(InputError, match=r"transfer-inf-0\.1 needs other models"):
        reading(registry_copy).track("quickstart")


def test_a_track_may_rank_by_the_worst_case_only_within_an_epsilon(registry_copy):
    spoil(registry_copy, "seeds = 3", 'seeds = 3\nranks_by = "worst_case"')
    assert reading(registry_copy).track("quickstart").ranks_by == "worst_case"
    path = registry_copy / "tracks" / "guo-fashion-binary.toml"
    path.write_text(
        path.read_text().replace(
            'headline = "pgd-inf-0.1"', 'headline = "deepfool-2"\nranks_by = "worst_case"'
        )
    )
    with pytest.raises(InputError, match="ranks_by: deepfool-2 has no epsilon"):
        reading(registry_copy).track("guo-fashion-binary")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('title = "', 'title = "\\u001b[2J', "title: must be one line of printable characters"),
        ('title = "', 'title = "\\n::warning::', "title: must be one line of printable characters"),
        ('type = "int"', 'type = "str"', "min and max are of numbers, int or float"),
    ],
)
def test_a_card_that_would_write_elsewhere_or_compare_words_is_refused(
    registry_copy, old, new, expected
):
    path = registry_copy / "regularizers" / "jacobian" / "card.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=expected) as refused:
        Registry(registry_copy).regularizer("jacobian")
    assert "card.toml" in str(refused.value) and len(str(refused.value).splitlines()) == 1


def test_the_folder_of_challenges_is_no_method(tmp_path, monkeypatch):
    shutil.copytree(TEMPLATE, tmp_path / CHALLENGES)
    monkeypatch.setenv("REGBENCH_SUBMISSIONS", str(tmp_path))
    assert CHALLENGES not in Registry().regularizer_folders


def test_a_number_that_is_none_and_a_label_of_many_digits_are_bad_input(registry_copy):
    (registry_copy / "architectures" / "more.toml").write_text(
        '[[architecture]]\nname = "more"\ntitle = "More"\ntimm = "lenet_5"\nkwargs = { x = nan }\n'
    )
    with pytest.raises(InputError, match=r"more\.toml: .*kwargs: x: .*given: nan"):
        _ = Registry(registry_copy).architectures
    with pytest.raises(InputError, match="are labels from 0 to 9"):
        Registry().dataset(f"mnist:1,{'9' * 5000}")
