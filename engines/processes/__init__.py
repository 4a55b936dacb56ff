"""Processes of the operating system: started, kept, told apart, ended with all that they started.

Used by the supervisor, the launchers and whoever runs a program to its end; knows of none of them.
"""
