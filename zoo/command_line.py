"""The command line's manners: few flags, strict ones, and one line where they are wrong."""

import argparse


class OneLineParser(argparse.ArgumentParser):
    """A parser whose refusal is one line and exit code 2, without argparse's page of usage."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")
