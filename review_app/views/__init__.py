"""The pages of the app. A view draws and calls use cases; it holds no SQL and no policy."""
