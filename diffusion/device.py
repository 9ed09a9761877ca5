"""Chooses the device and the number format that models compute in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from diffusion.errors import BadDevice

PRECISIONS = ("auto", "fp32", "bf16", "fp16")

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_COMPUTED = {**_DTYPES, "fp64": torch.float64}


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and in what each kind of component computes. `label` names the choice in cache keys, e.g. `cpu/fp32`."""

    device: torch.device
    unet: torch.dtype
    vae: torch.dtype
    clip: torch.dtype
    label: str


def place(device: str = "auto", precision: str = "auto") -> Placement:
    """Resolve the names a person gave. Raises BadDevice when this machine has no such device or format.

    `auto` takes CUDA, then Apple's GPU, then the CPU; and half precision where the device computes it natively. Text
    encoders stay in float32 on a CPU, where they take no time, and autoencoders never run in float16, which overflows.
    A choice of float32 turns TF32 off for the whole process.
    """
    found = _device(device)
    name = precision.lower()
    if name not in PRECISIONS:
        raise BadDevice(f"There is no precision {precision!r}.", hint=f"Known: {', '.join(PRECISIONS)}.")
    dtype = _DTYPES[name] if name != "auto" else _best_dtype(found)
    if found.type == "cpu" and dtype == torch.float16:
        raise BadDevice("The CPU does not compute models in fp16.", hint="Use --precision bf16 or fp32.")
    vae = dtype
    if dtype == torch.float16:
        vae = torch.bfloat16 if found.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    clip = torch.float32 if found.type == "cpu" else dtype
    if dtype == torch.float32:
        _exact_kernels()
    return Placement(found, dtype, vae, clip, f"{found.type}/{_name_of(dtype)}")


def computed_in(name: str, placement: Placement) -> torch.dtype:
    """What a U-Net computes in for which a person chose a type, or `default`. Raises BadDevice when the device has no
    such arithmetic."""
    if name == "default":
        return placement.unet
    if (placement.device.type, name) in (("cpu", "fp16"), ("mps", "fp64")):
        raise BadDevice(
            f"The device {placement.device.type} does not compute models in {name}.",
            hint="Use bf16 or fp32, or default.",
            input="dtype",
        )
    return _COMPUTED[name]


def cpu_computes_bf16() -> bool:
    """Whether the processor has bfloat16 arithmetic (AVX512-BF16 or AMX), and not merely a way to imitate it."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    if capabilities:
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    try:
        with Path("/proc/cpuinfo").open(encoding="ascii", errors="replace") as file:
            flags = next((line for line in file if line.startswith("flags")), "").split()
    except OSError:  # only Linux tells; elsewhere float32 is always right
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def memory_of(device: torch.device) -> int:
    """Bytes of memory that the device has in all."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf: assume a small machine
        return 8 * 2**30


def _device(name: str) -> torch.device:
    name = name.lower()
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BadDevice(f"There is no device {name!r}.", hint="Use auto, cpu, cuda, cuda:1 … or mps.") from error
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        index = device.index or 0
        if index >= count:
            raise BadDevice(f"There is no device {name!r}: torch sees {count} CUDA devices.", hint="Use --device cpu.")
        return torch.device("cuda", index)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise BadDevice("This machine has no Apple GPU that torch can use.", hint="Use --device cpu.")
    if device.type not in ("cpu", "mps"):
        raise BadDevice(f"Devices of type {device.type!r} are not supported.", hint="Use auto, cpu, cuda or mps.")
    return device


def _best_dtype(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        return torch.float16 if torch.cuda.get_device_capability(device)[0] >= 7 else torch.float32
    if device.type == "mps":
        return torch.float16
    return torch.bfloat16 if cpu_computes_bf16() else torch.float32


def _exact_kernels() -> None:
    """Float32 means float32: without TF32, whose ten bits of mantissa show in the third decimal."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def _name_of(dtype: torch.dtype) -> str:
    return next(name for name, each in _DTYPES.items() if each == dtype)
