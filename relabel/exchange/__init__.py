"""Export and import: label files to and from the formats of other programs of the field.

`relabel.exchange.exporting.export` writes any of them, `relabel.exchange.importing.load` reads those that hold values.
``docs/exchange.md`` says what each consumer reads and what each format loses.
"""
