"""The parts of the Model page; each shows what there is of its figures."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from pages.parts.common import widgets
from pages.parts.common.requests.modes import component_kind, component_title
from pages.parts.common.sessions import state
from pages.parts.common.text import counted, plain
from pages.parts.model import tables
from pages.parts.model.figures import (
    TIER_NAMES,
    family_figure,
    fidelity_figure,
    method_figure,
    modes_figure,
    parity_figure,
    refinement_figure,
    reliability_figure,
    weight_figure,
)
from vaereg.evaluation.records import KINDS, summarize_solves
from vaereg.materials import TwoPhase
from vaereg.model.checkpoint import Checkpoint
from vaereg.model.modes.release import Modes

PLAIN: dict[str, Any] = {"displayModeBar": False}


def overview(checkpoint: Checkpoint, metrics: Mapping[str, Any]) -> None:
    """The figures that matter most, the limits of validity, what the model was made from, and its times."""
    _headlines(metrics)
    pair = checkpoint.model.materials
    st.subheader("Limits of validity")
    st.markdown(
        "- Periodic two-phase cells, linear elasticity, small strain.\n"
        f"- The encoder and the figures of this page are for **{pair.e_stiff:g} GPa** (stiff) and "
        f"**{pair.e_soft:g} GPa** (soft), Poisson ratio {pair.nu_stiff:g} and {pair.nu_soft:g}. Other phases "
        "are answered by a regressor that begins with a few iterations of the solver; its error grows with "
        "the contrast, and Predict shows guaranteed bounds beside it.\n"
        "- Trained on random families of volumes. Where a volume is marked as novel, rely on the solver.\n"
        f"- Trained on cells of {_cells(checkpoint)}. Others are predicted less well, "
        "with wider intervals, and are often marked as novel.\n"
        "- Stiffness is that of trilinear elements on the given voxels: finer voxels of the same geometry "
        "would give lower values.\n"
        "- One cell is one realisation: another of the same kind differs, the more the coarser its structure "
        "is."
    )
    with st.container(key="model-panes"):
        left, right = st.columns([6, 5], gap="medium")
    facts = {key: value for key, value in checkpoint.card.items() if isinstance(value, str | int | float)}
    with left:
        st.subheader("What it was made from")
        names = [key.replace("_", " ") for key in facts]
        listed = pd.DataFrame({"": list(map(_fact, facts, facts.values()))}, index=names)
        st.table(listed, border="horizontal")
    if "timings" in metrics:
        with right:
            machine = metrics.get("hardware", {})
            threads = counted(machine.get("threads", 1), "thread")
            note = f"Warm, on {threads} of a machine with {machine.get('cores')} cores."
            st.subheader("Times", help=note)
            table = tables.timing_table(metrics["timings"], metrics["data"]["size"])
            widgets.show_table(table, key="timing-table", missing="–")


def _cells(checkpoint: Checkpoint) -> str:
    """Sizes of the cells of the training data, each named once, as what they have in common."""
    parts = dict.fromkeys(str(checkpoint.card.get("cell", "one size")).split("; "))
    end = ", periodic"
    if all(part.endswith(end) for part in parts):
        return " and ".join(part.removesuffix(end) for part in parts) + end
    return " and ".join(parts)


def _fact(name: str, value: str | int | float) -> str:
    """A fact of the model's card. Older cards leave the plural of threads open."""
    if isinstance(value, int) and name != "seed":
        return f"{value:,}"
    threads = re.sub(r"(\d+) thread\(s\)", lambda found: counted(int(found[1]), "thread"), str(value))
    return plain(threads)


def _headlines(metrics: Mapping[str, Any]) -> None:
    forward, trial = metrics.get("forward", {}).get("guided", {}), metrics.get("inverse", {})
    cover = list(forward.get("coverage_90", {}).values())
    best = f"Best of {trial.get('designs_per_target', 'all')} designs"
    cells = [
        ("Prediction", forward.get("mape_axial"), "mean error, C11, C22, C33"),
        ("90 % intervals hold", sum(cover) / len(cover) if cover else None, "of unseen volumes"),
        ("All designs", trial.get("median_error"), "median error by the solver"),
        (best, trial.get("median_error_of_best_by_prediction"), "median error by the solver"),
    ]
    shown = [(label, value, note) for label, value, note in cells if value is not None]
    if shown:
        with st.container(key="summary"):
            for column, (label, value, note) in zip(st.columns(len(shown)), shown, strict=True):
                column.metric(label, f"{100 * value:.1f} %", delta=note, **widgets.PLAIN)


def prediction(metrics: Mapping[str, Any], baselines: Mapping[str, Any]) -> None:
    """Errors of the predictions beside other methods: by family, parity, reliability, novelty."""
    forward, held_out = metrics.get("forward", {}), metrics.get("held_out", {})
    methods = tables.method_figures(metrics, baselines)
    st.subheader(
        "Prediction against the solver",
        help="Mean absolute percentage error on unseen volumes. Baselines were trained on the same volumes; "
        "benchmarks/baselines.py names their settings.",
    )
    st.plotly_chart(
        method_figure(methods), key="method-figure", config=PLAIN, alt="Error of this and of other methods"
    )
    widgets.show_table(tables.forward_table(methods), key="forward-table", missing="–", digits=2)
    tiers = [tier for tier in TIER_NAMES if tier in forward]
    left, right = st.columns(2, gap="medium")
    strange = {tier: held_out.get(tier, {}).get("mape_axial_by_family", {}) for tier in tiers}
    errors = {tier: forward[tier].get("mape_axial_by_family", {}) | strange[tier] for tier in tiers}
    families = sorted({name for errors_of in strange.values() for name in errors_of})
    with left:
        st.subheader("By family")
        st.plotly_chart(
            family_figure(errors, families),
            key="family-figure",
            config=PLAIN,
            alt="Error by family of volumes",
        )
    with right:
        if "reliability" in forward:
            st.subheader("Reliability", help="Share of unseen volumes inside the predicted intervals.")
            observed = {tier: forward["reliability"][tier] for tier in tiers}
            figure = reliability_figure(forward["reliability"]["nominal"], observed)
            st.plotly_chart(
                figure,
                key="reliability-figure",
                config=PLAIN,
                alt="Share of volumes inside of intervals over the predicted share",
            )
        if "novelty" in metrics:
            st.subheader("Novelty", help="Share of volumes that are flagged as unlike the training data.")
            table = tables.novelty_table(metrics["novelty"])
            widgets.show_table(table, key="novelty-table", missing="–")
    if "parity" in forward:
        st.subheader("Parity")
        parity = forward["parity"]
        for tab, tier in zip(st.tabs([TIER_NAMES[tier] for tier in tiers]), tiers, strict=True):
            figure = parity_figure(parity["truth"], parity[tier]["mean"])
            tab.plotly_chart(
                figure,
                key=f"parity-{tier}",
                config=PLAIN,
                alt=f"Predicted over solved stiffness, {TIER_NAMES[tier]}",
            )


def inverse(checkpoint: Checkpoint, metrics: Mapping[str, Any], runs: Mapping[str, Any]) -> None:
    """How far designs are from what was asked for, and what other ways to train give."""
    trial, made_by = metrics["inverse"], metrics.get("checkpoint")
    name = partial(component_title, checkpoint, made_by=made_by)
    st.subheader(
        "Designs against the solver",
        help=f"Asked for: properties of {trial.get('targets')} unseen volumes, "
        f"{trial.get('designs_per_target')} designs each, every one checked by the solver.",
    )
    widgets.show_table(tables.inverse_table(metrics, name), key="inverse-table", missing="–", digits=2)
    kind = component_kind(checkpoint) if made_by == checkpoint.hash else "component"
    widgets.show_table(tables.diversity_table(trial, kind), key="diversity-table", missing="–")
    if runs:
        st.subheader(
            "Other ways to train",
            help="What each claim of the model is worth: presets that take one away. Designs: median error "
            "by the solver, of all and of the best by prediction. Distance: of two-point statistics.",
        )
        st.caption(
            "Each trained on the encoder and regressor of this model, which stay as they are, for fewer "
            "steps than its own: compare them with each other, not with the figures above."
        )
        widgets.show_table(tables.runs_table(runs), key="runs-table", missing="–", digits=2)


def modes(named: Modes, materials: TwoPhase) -> None:
    """Show the look of each mode and what its training volumes reach."""
    st.subheader(
        "Modes",
        help="Kinds of structure that one target can have: each has a prior p(z | c) of its own. The ranges "
        "hold 90 % of the training volumes, in any order of their axes.",
    )
    table = tables.modes_table(named)
    st.dataframe(
        table.style.map(lambda title: f"color: {tables.mode_color(title, named.names)}", subset=["Mode"]),
        hide_index=True,
        key="modes-table",
        height="content",
    )
    st.plotly_chart(
        modes_figure(named, materials), key="modes-figure", config=PLAIN, alt="What each mode reaches"
    )


def components(figures: Mapping[str, Any], *, of_irregular: bool) -> None:
    """Show the meaning of each component of the mixture.

    Args:
        figures: Stored figures of the components.
        of_irregular: Whether the mixture is the prior of the irregular mode alone.
    """
    st.subheader(
        "Components of the irregular mode" if of_irregular else "Components of the mixture",
        help="Share: of unseen volumes that a component explains best. Names follow from correlation "
        "lengths and percolation of what is decoded.",
    )
    total = len(figures["by_component"])
    st.write(
        f"{figures.get('used', total)} of {total} components are used; the entropy of their shares is that "
        f"of {figures.get('effective', total):.1f} equal ones."
    )
    widgets.show_table(tables.component_table(figures), key="component-table", missing="–")
    if "values" in figures:
        st.plotly_chart(
            weight_figure(figures), key="weight-figure", config=PLAIN, alt="Weights of the components"
        )


def mode_figures(figures: Mapping[str, Any]) -> None:
    """Show whether each mode is recognised, and whether its designs meet targets."""
    st.subheader(
        "Recognition and targets",
        help="Recognised as of their mode: unseen real volumes, volumes decoded from them, and corrected "
        "designs, by a classifier trained on the generators of the data, and by an independent one. Targets "
        "are C11, C22, C33 of unseen volumes, checked by the solver.",
    )
    coverage, vendi = figures["coverage"], figures["vendi"]
    text = (
        f"For the properties of {coverage['recognised']} of {coverage['volumes']} unseen volumes, designs "
        "include the volume's own mode."
    )
    if vendi["score"] is not None:
        text += f" Designs within 2 % of a target count as {vendi['score']:.1f} different ones (Vendi score)."
    st.write(text)
    widgets.show_table(tables.mode_figures_table(figures), key="mode-figures-table", missing="–")


def decoder(figures: Mapping[str, Any]) -> None:
    """How like the data decoded volumes are."""
    st.subheader("Decoded volumes beside the data")
    st.write(
        "Distance of a volume from one that was decoded from it, over its distance from another real one of "
        "the same parameters: at 1 the decoder is as good as the data. Root mean square differences of the "
        "two-point correlation and of the lineal path of both phases, relative ones of the specific surface. "
        "A family whose parameters leave nothing open, as of layers, has no such ratio."
    )
    st.plotly_chart(
        fidelity_figure(figures),
        key="fidelity-figure",
        config=PLAIN,
        alt="Statistics of decoded and of real volumes",
    )
    widgets.show_table(tables.decoder_table(figures), key="decoder-table", missing="–", digits=3)


def refinement(record: Mapping[str, Any] | None, checkpoint: Checkpoint) -> None:
    """Solves that bring a volume onto its target, from several starts."""
    st.subheader("Solves until the target is reached")
    if record is None:
        st.info("Not measured yet: `python benchmarks/refinement.py --data DATA.h5` does so.")
        return
    settings, runs = record["settings"], record["figures"]
    if settings.get("checkpoint") != checkpoint.hash:
        st.warning("This was measured on another checkpoint: run `benchmarks/refinement.py` again.")
    st.write(
        "The error is the largest relative distance of an asked property from its target, by the solver: its "
        "median over the targets. A solve is one volume under six load cases."
    )
    kinds = [kind for kind in KINDS if any(run["kind"] == kind for run in runs)]
    kind = st.segmented_control(
        "Asked for",
        kinds,
        default="three" if "three" in kinds else kinds[0],
        format_func=KINDS.__getitem__,
        required=True,
        key=state.REFINEMENT_KIND,
        persist_state="session",
    )
    shown = [run for run in runs if run["kind"] == kind]
    st.plotly_chart(
        refinement_figure(shown),
        key="refinement-figure",
        config=PLAIN,
        alt="Deviation from the target over solves",
    )
    table = tables.solves_frame(summarize_solves(shown)).drop(columns="Asked for")
    widgets.show_table(table, key="solves-table", missing="–")
