"""The command line: parse, call the service, print. Heavy imports wait inside the commands, so that help is quick."""
