"""`nmtool distill`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from nmtool.cli.command import command, examples
from nmtool.cli.data_options import DataSource, Labels, complete_path
from nmtool.cli.noise_options import NoiseOptions
from nmtool.cli.options import Force, Model, Option
from nmtool.cli.options import Output as OutputFile
from nmtool.cli.output import Output, number, table
from nmtool.cli.progress import training_progress
from nmtool.cli.recipe_options import RecipeOptions

if TYPE_CHECKING:
    from nmtool.verbs.distill import Distillation

EXAMPLES = examples(
    "nmtool distill digits.onnx --data digits.npz --eta 0.1 -o robust.onnx --epochs 2 --batch-size 64",
    "nmtool distill digits.onnx --data digits.npz --eta 0.1 -o robust.onnx --recipe robust --epochs 1 --force",
    "nmtool distill digits.onnx --data digits.npz --recipe noise --epochs 1 -o trained.onnx --loss distillation",
)


def _recipes() -> list[str]:
    from nmtool.recipes import shipped

    return list(shipped())


@command
def distill(
    out: Output,
    model: Model,
    data: DataSource,
    output: OutputFile,
    noise: NoiseOptions,
    settings: RecipeOptions,
    labels: Labels = None,
    eta: Annotated[
        float | None,
        Option(metavar="X", help="Strength of the noise that the model shall bear", show_default="0.05; hardware: 1"),
    ] = None,
    recipe: Annotated[
        str,
        Option(
            metavar="NAME|FILE",
            help="How to train: `nmtool list recipes`, or a TOML file with such settings",
            autocompletion=_recipes,
        ),
    ] = "distill",
    teacher: Annotated[
        list[Path] | None, Option(metavar="MODEL", help="Teacher; several are averaged", show_default="the model")
    ] = None,
    teacher_engine: Annotated[Literal["onnxruntime", "torch"], Option(help="What runs the teacher")] = "onnxruntime",
    engine: Annotated[
        Literal["torch", "ort"], Option(help="What trains; ort is experimental, and needs `nmtool engine install`")
    ] = "torch",
    student: Annotated[
        Path | None, Option(metavar="MODEL", help="Model to train and write instead", show_default="the model")
    ] = None,
    loss: Annotated[
        list[str] | None,
        Option(
            metavar="[VALUE=]KIND[:WEIGHT]",
            help="distillation, mse, cosine or features of an output or inner value; repeatable",
            show_default="by output",
        ),
    ] = None,
    metric: Annotated[
        str | None,
        Option(metavar="NAME", help="What selects the weights: see sweep", show_default="by loss"),
    ] = None,
    validation: Annotated[float, Option(metavar="SHARE", help="Share of the data held out for validation")] = 0.1,
    validation_data: Annotated[
        str | None, Option(metavar="SOURCE", help="Validate on this data instead", autocompletion=complete_path)
    ] = None,
    validation_trials: Annotated[int, Option(metavar="N", min=1, help="Noise samples of a validation")] = 4,
    validate_every: Annotated[int, Option(metavar="EPOCHS", min=1, help="How often to validate")] = 1,
    patience: Annotated[
        int | None, Option(metavar="N", min=0, help="End after so many validations without improvement")
    ] = None,
    run_dir: Annotated[
        Path | None, Option(metavar="DIR", help="Folder for log and checkpoint", show_default="OUTPUT with suffix .run")
    ] = None,
    resume: Annotated[bool, Option("--resume", help="Go on from the checkpoint in the run folder, if any")] = False,
    checkpoint_every: Annotated[int, Option(metavar="STEPS", min=1, help="How often to save within an epoch")] = 500,
    device: Annotated[Literal["auto", "cpu", "cuda"], Option(help="Where to train")] = "auto",
    amp: Annotated[bool, Option("--amp", help="Compute in bfloat16 where that is safe")] = False,
    compile: Annotated[bool, Option("--compile", help="Compile the student")] = False,  # noqa: A002 - torch's name
    workers: Annotated[int, Option(metavar="N", min=0, help="Processes that read data ahead")] = 0,
    threads: Annotated[int | None, Option(metavar="N", min=1, help="Threads", show_default="torch's")] = None,
    force: Force = False,
) -> None:
    """Train a model to bear noise, with its clean self as the teacher."""
    import nmtool

    leads = int(os.environ.get("RANK", 0)) == 0  # torchrun starts several processes
    with training_progress(out, show=leads) as report:
        result = nmtool.distill(
            model,
            data.data,
            output,
            eta=eta,
            recipe=recipe,
            settings=settings.settings() | ({} if data.batch_size is None else {"batch_size": data.batch_size}),
            noise=noise.model(eta=1.0),
            seed=noise.seed,
            **noise.placement(),
            teacher=teacher or (),
            teacher_engine=teacher_engine,
            engine=engine,
            student=student,
            loss=loss or (),
            metric=metric,
            validation=validation,
            validation_data=validation_data,
            validation_trials=validation_trials,
            validate_every=validate_every,
            patience=patience,
            run_dir=run_dir,
            resume=resume,
            checkpoint_every=checkpoint_every,
            device=device,
            amp=amp,
            compile=compile,
            workers=workers,
            threads=threads,
            data_options=data.options(labels),
            progress=report,
            force=force,
        )
    if not leads:
        return
    out.result(result.to_json(), lambda: _print(result))
    for note in result.notes:
        out.note(note)
    for path in (*result.report.files, result.run_dir):
        out.note(f"wrote: {path}")


def _print(result: "Distillation") -> None:
    rows = []
    for name, scores in (("before", result.before), ("after", result.after), ("rounded", result.rounded)):
        if scores is not None:
            noisy = result.interval(scores)
            interval = "-" if noisy.low is None or noisy.high is None else f"{noisy.low:.4f} to {noisy.high:.4f}"
            rows.append((name, number(scores.clean, 4), number(noisy.mean, 4), interval))
    if rows:
        table(("weights", f"clean {result.metric}", f"at eta {result.eta:g}", "95 % interval"), rows)
    kept = f", kept those of step {result.best_step}" if result.after is not None else ""
    print(f"trained {result.report.changed} arrays in {result.steps} steps{kept}")
