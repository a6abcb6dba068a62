"""What a row says of the machine that it ran on."""

import platform
from pathlib import Path

import pytest
import torch

from benchmark.trials.processor import Processor
from benchmark.trials.provenance import commit, libraries, provenance

ZEN = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 1
model name\t: AMD EPYC
stepping\t: 1
flags\t\t: fpu sse sse4_2 avx2 fma smep misalignsse avx512f

processor\t: 1
vendor_id\t: AuthenticAMD
stepping\t: 2
"""
ARM = """processor\t: 0
Features\t: fp asimd evtstrm sve bf16
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: 0xd40
CPU revision\t: 1
"""


def test_two_processors_of_one_name_differ_by_stepping_or_extensions():
    here = Processor.of(ZEN)
    assert here.model == "AMD EPYC"
    assert here.family == "vendor_id AuthenticAMD, cpu family 25, model 1, stepping 1"
    assert here.vectors == "avx2 avx512f fma sse sse4_2"
    other = Processor.of(ZEN.replace("stepping\t: 1", "stepping\t: 0"))
    assert (other.model, other.family == here.family) == (here.model, False)
    assert Processor.of(ZEN.replace(" avx512f", "")).vectors != here.vectors


def test_a_processor_of_another_make_is_told_by_its_own_fields():
    found = Processor.of(ARM)
    assert found.family == (
        "CPU implementer 0x41, CPU architecture 8, CPU variant 0x1, CPU part 0xd40, CPU revision 1"
    )
    assert (found.model, found.vectors) == ("", "asimd bf16 sve")


def test_where_the_system_tells_nothing_the_machine_is_named_all_the_same(monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda path: False)
    found = Processor.here()
    assert found.model in (platform.processor(), platform.machine())
    assert (found.family, found.vectors) == (platform.machine(), "")


@pytest.mark.parametrize(
    ("shown", "blas", "onednn"),
    [
        (
            "  - Intel(R) oneAPI Math Kernel Library Version 2024.2-Product Build 20240605 for\n"
            "  - Intel(R) MKL-DNN v3.7.1 (Git Hash 1)\n  - Build settings: BLAS_INFO=mkl, X=1",
            "Math Kernel Library Version 2024.2-Product Build 20240605",
            "3.7.1",
        ),
        ("  - Build settings: BLAS_INFO=accelerate, USE_MKLDNN=OFF", "accelerate", "none"),
        ("  - Build settings: USE_MKL=OFF", "none", "none"),
    ],
)
def test_libraries_are_read_from_what_torch_says_of_its_build(shown, blas, onednn):
    assert libraries(shown) == {"blas": blas, "onednn": onednn}


def test_a_row_names_all_that_decides_its_last_bits():
    told = provenance("cpu")
    assert told["threads"] == torch.get_num_threads()
    assert told["cpu_capability"] in torch.__config__.show()
    assert all(told[name] for name in ("device_name", "processor", "blas", "onednn"))


def test_a_clone_without_git_tells_no_commit(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert commit.__wrapped__() == "unknown"
