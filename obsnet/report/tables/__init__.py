"""The tables behind a report, as people with a spreadsheet get them."""
