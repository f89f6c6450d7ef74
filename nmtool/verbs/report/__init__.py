"""`nmtool report`: what a folder of results holds, as one HTML page.

sources.py what is in the folder, documents.py the forms of JSON documents, studies.py the points of sweeps; sections/
what is shown of it, each with its template; charts.py and figures.py how; page.py the page.
"""

from nmtool.verbs.report.page import Page, report

__all__ = ["Page", "report"]
