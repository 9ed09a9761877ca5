"""Names of the samplers and schedules, apart from their code, so that nodes can offer them without loading torch."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from diffusion.errors import DiffusionError

SAMPLERS: tuple[str, ...] = (
    "euler",
    "euler_cfg_pp",
    "euler_ancestral",
    "euler_ancestral_cfg_pp",
    "heun",
    "heunpp2",
    "dpm_2",
    "dpm_2_ancestral",
    "lms",
    "dpm_fast",
    "dpm_adaptive",
    "dpmpp_2s_ancestral",
    "dpmpp_2s_ancestral_cfg_pp",
    "dpmpp_sde",
    "dpmpp_sde_gpu",
    "dpmpp_2m",
    "dpmpp_2m_cfg_pp",
    "dpmpp_2m_sde",
    "dpmpp_2m_sde_gpu",
    "dpmpp_2m_sde_heun",
    "dpmpp_2m_sde_heun_gpu",
    "dpmpp_3m_sde",
    "dpmpp_3m_sde_gpu",
    "ddpm",
    "lcm",
    "ipndm",
    "ipndm_v",
    "deis",
    "res_multistep",
    "res_multistep_cfg_pp",
    "res_multistep_ancestral",
    "res_multistep_ancestral_cfg_pp",
    "gradient_estimation",
    "gradient_estimation_cfg_pp",
    "er_sde",
    "seeds_2",
    "seeds_3",
    "sa_solver",
    "sa_solver_pece",
    "ddim",
    "uni_pc",
    "uni_pc_bh2",
    "plms",
)
"""Every sampler, in the order in which menus show them."""

SCHEDULES: tuple[str, ...] = (
    "simple",
    "sgm_uniform",
    "karras",
    "exponential",
    "ddim_uniform",
    "beta",
    "normal",
    "linear_quadratic",
    "kl_optimal",
)
"""Every schedule, in the order in which menus show them."""


def check_sampler(name: str) -> None:
    """Raise `DiffusionError` (code `unknown_sampler`) naming the nearest samplers when there is none called `name`."""
    _check(name, SAMPLERS, "sampler", "sampler_name")


def check_schedule(name: str) -> None:
    """Raise `DiffusionError` (code `unknown_scheduler`) naming the nearest ones when there is none called `name`."""
    _check(name, SCHEDULES, "scheduler", "scheduler")


def _check(name: str, known: Sequence[str], what: str, input_name: str) -> None:
    if name in known:
        return
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    advice = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known)}."
    raise DiffusionError(f"There is no {what} called {name!r}. {advice}", input=input_name, code=f"unknown_{what}")
