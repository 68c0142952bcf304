"""The carrier `aws-stepfunctions`: the portal itself is the agent of a state machine in AWS, which
calls a Lambda function for each rank of an inference.
"""
