"""Nodes that choose a sampler, by name or with its settings, for the custom sampling nodes."""

from __future__ import annotations

from typing import Annotated, Literal

from diffusion.sampling.names import SAMPLERS
from diffusion.values import ModelRef, SamplerRef
from nodes.sdk import Choices, Context, Help, Label, Range, node

_CATEGORY = "sampling/custom/samplers"
_UNIT = Range(0.0, 100.0, 0.01)
_ETA = Help("How much noise is added on the way: 0 adds none, 1 is the usual amount.")
_S_NOISE = Help("The added noise is multiplied by this.")
_DEVICE = Help("Where the noise is drawn. Only cpu gives the same picture on every machine.")

Eta = Annotated[float, _UNIT, _ETA]
NoiseScale = Annotated[float, _UNIT, Label("noise scale"), _S_NOISE]
NoiseDevice = Annotated[Literal["gpu", "cpu"], _DEVICE]
Method = Annotated[
    str, Choices(("bislerp", "nearest-exact", "bilinear", "area", "bicubic")), Help("How cells in between are found.")
]


@node(title="Choose sampler", category=_CATEGORY)
def KSamplerSelect(
    sampler_name: Annotated[str, Choices(SAMPLERS), Label("sampler"), Help("dpmpp_2m and euler are good choices.")],
) -> SamplerRef:
    """Chooses a sampler by name, with its usual settings."""
    return SamplerRef(sampler_name)


@node(title="Sampler: Euler ancestral", category=_CATEGORY)
def SamplerEulerAncestral(eta: Eta = 1.0, s_noise: NoiseScale = 1.0) -> SamplerRef:
    """Euler steps that go further down and add fresh noise back."""
    return SamplerRef("euler_ancestral", (("eta", eta), ("s_noise", s_noise)))


@node(title="Sampler: Euler ancestral CFG++", category=_CATEGORY)
def SamplerEulerAncestralCFGPP(
    eta: Annotated[float, Range(0.0, 1.0, 0.01), _ETA] = 1.0,
    s_noise: Annotated[float, Range(0.0, 10.0, 0.01), Label("noise scale"), _S_NOISE] = 1.0,
) -> SamplerRef:
    """Euler ancestral whose direction is taken from the negative prediction. Use a CFG of about 1 to 2."""
    return SamplerRef("euler_ancestral_cfg_pp", (("eta", eta), ("s_noise", s_noise)))


@node(title="Sampler: Euler CFG++", category=_CATEGORY)
def SamplerEulerCFGpp(
    version: Annotated[
        Literal["regular", "alternative"],
        Help("The alternative goes further away from the negative prediction."),
    ] = "regular",
) -> SamplerRef:
    """Euler whose direction is taken from the negative prediction. Use a CFG of about 1 to 2."""
    return SamplerRef("euler_cfg_pp" if version == "regular" else "euler_pp")


@node(title="Sampler: DDIM", category=_CATEGORY)
def SamplerDDIM(
    eta: Annotated[float, Range(0.0, 1.0, 0.01), Help("0 adds no noise (DDIM), 1 as much as DDPM.")] = 0.0,
    s_noise: NoiseScale = 1.0,
) -> SamplerRef:
    """DDIM, with the η of its paper (Song et al. 2021): noise added in each step, from none to as much as DDPM."""
    return SamplerRef("ddim_eta", (("eta", eta), ("s_noise", s_noise)))


@node(title="Sampler: DPM++ 2S ancestral", category=_CATEGORY)
def SamplerDPMPP_2S_Ancestral(eta: Eta = 1.0, s_noise: NoiseScale = 1.0) -> SamplerRef:
    """Second-order steps that go further down and add fresh noise back; two evaluations a step."""
    return SamplerRef("dpmpp_2s_ancestral", (("eta", eta), ("s_noise", s_noise)))


@node(title="Sampler: LMS", category=_CATEGORY)
def SamplerLMS(
    order: Annotated[int, Range(1, 100), Help("How many past steps count. 4 is usual; above 6 it gets unsteady.")] = 4,
) -> SamplerRef:
    """A linear multistep method: past steps make a polynomial that is followed over the next."""
    return SamplerRef("lms", (("order", order),))


@node(title="Sampler: DPM++ 2M SDE", category=_CATEGORY)
def SamplerDPMPP_2M_SDE(
    solver_type: Annotated[Literal["midpoint", "heun"], Label("solver"), Help("How a step's slope is taken.")] = (
        "midpoint"
    ),
    eta: Eta = 1.0,
    s_noise: NoiseScale = 1.0,
    noise_device: NoiseDevice = "gpu",
) -> SamplerRef:
    """Second-order multistep with Brownian noise: one evaluation a step."""
    return SamplerRef(
        _on("dpmpp_2m_sde", noise_device), (("solver_type", solver_type), ("eta", eta), ("s_noise", s_noise))
    )


@node(title="Sampler: DPM++ 3M SDE", category=_CATEGORY)
def SamplerDPMPP_3M_SDE(eta: Eta = 1.0, s_noise: NoiseScale = 1.0, noise_device: NoiseDevice = "gpu") -> SamplerRef:
    """Third-order multistep with Brownian noise: one evaluation a step. Give it 25 steps or more."""
    return SamplerRef(_on("dpmpp_3m_sde", noise_device), (("eta", eta), ("s_noise", s_noise)))


@node(title="Sampler: DPM++ SDE", category=_CATEGORY)
def SamplerDPMPP_SDE(
    eta: Eta = 1.0,
    s_noise: NoiseScale = 1.0,
    r: Annotated[float, _UNIT, Help("Where in the step the second evaluation lies: 0.5 is the middle.")] = 0.5,
    noise_device: NoiseDevice = "gpu",
) -> SamplerRef:
    """Second-order steps with Brownian noise; two evaluations a step."""
    return SamplerRef(_on("dpmpp_sde", noise_device), (("eta", eta), ("s_noise", s_noise), ("r", r)))


@node(title="Sampler: DPM adaptive", category=_CATEGORY)
def SamplerDPMAdaptative(
    order: Annotated[int, Range(2, 3), Help("Of the steps.")] = 3,
    rtol: Annotated[float, _UNIT, Help("Allowed error, as a part of the latent. Smaller takes more steps.")] = 0.05,
    atol: Annotated[float, _UNIT, Help("Allowed error where the latent is near 0.")] = 0.0078,
    h_init: Annotated[float, _UNIT, Label("first step"), Help("Its length, in log sigma.")] = 0.05,
    pcoeff: Annotated[float, _UNIT, Help("The controller's proportional gain.")] = 0.0,
    icoeff: Annotated[float, _UNIT, Help("The controller's integral gain.")] = 1.0,
    dcoeff: Annotated[float, _UNIT, Help("The controller's derivative gain.")] = 0.0,
    accept_safety: Annotated[
        float, _UNIT, Help("A step is taken again, smaller, if its length would shrink below this part.")
    ] = 0.81,
    eta: Eta = 0.0,
    s_noise: NoiseScale = 1.0,
) -> SamplerRef:
    """Takes as many steps as the allowed error asks for: of the noise levels, only the first and the last count."""
    return SamplerRef(
        "dpm_adaptive",
        (
            ("order", order), ("rtol", rtol), ("atol", atol), ("first_step", h_init), ("p", pcoeff), ("i", icoeff),
            ("d", dcoeff), ("safety", accept_safety), ("eta", eta), ("s_noise", s_noise),
        ),
    )  # fmt: skip


@node(title="Sampler: ER-SDE", category=_CATEGORY)
def SamplerER_SDE(
    solver_type: Annotated[
        Literal["ER-SDE", "Reverse-time SDE", "ODE"], Label("solver"), Help("ODE adds no noise.")
    ] = "ER-SDE",
    max_stage: Annotated[int, Range(1, 3), Help("The highest order of a step.")] = 3,
    eta: Annotated[float, _UNIT, Help("How stochastic the reverse-time SDE is; 0 makes it an ODE.")] = 1.0,
    s_noise: NoiseScale = 1.0,
) -> SamplerRef:
    """Solves an extended reverse-time SDE: detail in few steps, one evaluation each."""
    options = (("solver_type", solver_type), ("max_stage", max_stage), ("eta", eta), ("s_noise", s_noise))
    return SamplerRef("er_sde", options)


@node(title="Sampler: SA-Solver", category=_CATEGORY)
def SamplerSASolver(
    context: Context,
    model: Annotated[ModelRef, Help("Its noise levels say where the stretch with noise lies.")],
    eta: Annotated[float, Range(0.0, 10.0, 0.01), _ETA] = 1.0,
    sde_start_percent: Annotated[float, Range(0.0, 1.0, 0.001), Help("Where adding noise begins.")] = 0.2,
    sde_end_percent: Annotated[float, Range(0.0, 1.0, 0.001), Help("Where adding noise ends.")] = 0.8,
    s_noise: NoiseScale = 1.0,
    predictor_order: Annotated[int, Range(1, 6), Help("How many evaluations predict a step.")] = 3,
    corrector_order: Annotated[int, Range(0, 6), Help("How many correct it; 0 corrects nothing.")] = 4,
    use_pece: Annotated[bool, Label("PECE"), Help("Evaluate again after correcting: twice the time.")] = False,
    simple_order_2: Annotated[bool, Help("Simpler weights where the order is 2.")] = False,
) -> SamplerRef:
    """Stochastic Adams: predicts a step from those before, evaluates, and corrects it."""
    levels = context.residency.unet(model).sampling
    return SamplerRef(
        "sa_solver_pece" if use_pece else "sa_solver",
        (
            ("eta", eta), ("sde_start_sigma", levels.percent_to_sigma(sde_start_percent)),
            ("sde_end_sigma", levels.percent_to_sigma(sde_end_percent)), ("s_noise", s_noise),
            ("predictor_order", predictor_order), ("corrector_order", corrector_order),
            ("simple_order_2", simple_order_2),
        ),
    )  # fmt: skip


@node(title="Sampler: LCM with upscaling", category=_CATEGORY)
def SamplerLCMUpscale(
    scale_ratio: Annotated[float, Range(0.1, 20.0, 0.01), Help("The size at the end: 2 is twice as large.")] = 1.0,
    scale_steps: Annotated[
        int, Range(-1, 1000), Help("In how many steps the size is reached; -1 is half of them.")
    ] = -1,
    upscale_method: Method = "bislerp",
) -> SamplerRef:
    """Samples a latent consistency model, and makes the picture larger on the way."""
    options = (("scale_ratio", scale_ratio), ("scale_steps", scale_steps), ("upscale_method", upscale_method))
    return SamplerRef("lcm_upscale", options)


def _on(name: str, noise_device: str) -> str:
    return f"{name}_gpu" if noise_device == "gpu" else name
