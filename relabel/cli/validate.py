"""relabel validate."""

from __future__ import annotations

from pathlib import Path

import click

from relabel.cli import options, out


@click.command()
@options.label_file
@click.option(
    "--level",
    type=click.Choice(("header", "structure", "content")),
    default="content",
    show_default=True,
    help="How deep to look: is it a label file; is it well formed; are its values what they were.",
)
@options.as_json
@click.pass_context
def command(ctx: click.Context, file: Path, level: str, as_json: bool) -> None:
    """Check the label FILE against the format and list all that is wrong; exit status 1 when there is any error."""
    from relabel.labelfile import validate

    report = validate(file, level=level)
    if as_json:
        out.echo_json({"valid": report.valid, "findings": [finding.to_json() for finding in report.findings]})
    else:
        out.echo_lines(f"{f.severity}: {f.path}: {f.message} ({f.level})" for f in report.findings)
        out.echo_lines([f"{file}: {'valid' if report.valid else 'not valid'} ({level})"])
    if not report.valid:
        ctx.exit(1)
