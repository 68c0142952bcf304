"""What models were asked and answered, kept where the model or the caller says so.

Stored by the proxy and by calls that take long, searched by people, exported as a data set.
"""
