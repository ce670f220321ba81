"""The page in the browser, and the HTTP API behind it, over Library.

`app`        the application: routes, errors, static files
`libraries`  the libraries that are served, and the one that a request means
`jobs`       long work in threads, with progress
`downloads`  zip files that are made while they are sent
`reveal`     the file manager of this machine
`api/`       the endpoints, one subject a file
`static/`    the page: HTML, CSS and JavaScript modules, without a build step
"""

from searcher.web.app import create_app

__all__ = ["create_app"]
