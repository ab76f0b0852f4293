"""The process: settings, the Faust application and its transport, services, web views and the command line."""
