"""Export and import: label files in the formats that other programs of the field read, and back.

`relabel.exchange.exporting.export` writes any of them, `relabel.exchange.importing.load` reads those that carry values.
``docs/exchange.md`` says what each consumer reads and what each format loses.
"""
