"""The web server of the app: logins, the guard in front of every route, and the routes the browser calls."""
