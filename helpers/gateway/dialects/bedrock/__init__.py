"""The wire format of AWS Bedrock's runtime."""
