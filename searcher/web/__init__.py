"""The page in the browser, and the HTTP API behind it, over Library.

`app`        the application: routes, errors, static files
`libraries`  the libraries that are served, and the one that a request means
`api/`       the endpoints, one subject a file
`static/`    the page: HTML, CSS and JavaScript modules, without a build step
"""

from searcher.web.app import create_app

__all__ = ["create_app"]
