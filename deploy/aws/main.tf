# A lab without a cluster: a bucket, a function, a state machine, and a user for the portal who may
# do what the portal does and nothing else. See README.md beside this file.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 5.40" }
  }
}

variable "region" { type = string }
variable "bucket" { type = string }
variable "image_uri" {
  type        = string
  description = "The image of Containerfile, in ECR: ACCOUNT.dkr.ecr.REGION.amazonaws.com/labportal-rank:1"
}
variable "prefix" {
  type    = string
  default = "labportal"
}
variable "data_prefix" {
  type        = string
  default     = "data"
  description = "Where data sets lie in the bucket; empty: anywhere in it."
}
variable "memory_mib" {
  type    = number
  default = 3538 # two cores
}
variable "disk_mib" {
  type    = number
  default = 2048
}

provider "aws" { region = var.region }

data "aws_caller_identity" "this" {}

locals {
  name       = "labportal"
  runs       = join("/", [aws_s3_bucket.this.arn, trim(var.prefix, "/"), "*"])
  sets       = join("/", compact([aws_s3_bucket.this.arn, trim(var.data_prefix, "/"), "*"]))
  place      = "${var.region}:${data.aws_caller_identity.this.account_id}"
  machine    = "arn:aws:states:${local.place}:stateMachine:${local.name}"
  executions = "arn:aws:states:${local.place}:execution:${local.name}:*"
}

resource "aws_s3_bucket" "this" { bucket = var.bucket }

resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# The function: reads data sets and plans, writes what a rank leaves.

resource "aws_iam_role" "function" {
  name               = "${local.name}-rank"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }] })
}

resource "aws_iam_role_policy" "function" {
  role = aws_iam_role.function.id
  policy = templatefile("${path.module}/policies/function.json", {
    bucket = aws_s3_bucket.this.arn
    runs   = local.runs
    sets   = local.sets
    log    = "${aws_cloudwatch_log_group.function.arn}:*"
  })
}

resource "aws_cloudwatch_log_group" "function" {
  name              = "/aws/lambda/${local.name}-rank"
  retention_in_days = 30
}

resource "aws_lambda_function" "rank" {
  function_name = "${local.name}-rank"
  role          = aws_iam_role.function.arn
  package_type  = "Image"
  image_uri     = var.image_uri
  memory_size   = var.memory_mib
  timeout       = 900
  ephemeral_storage { size = var.disk_mib }
  depends_on = [aws_cloudwatch_log_group.function]
}

# The state machine: calls the function, reads the list of ranks, writes what the map returns.

resource "aws_iam_role" "machine" {
  name               = "${local.name}-machine"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "states.amazonaws.com" } }] })
}

resource "aws_iam_role_policy" "machine" {
  role = aws_iam_role.machine.id
  policy = templatefile("${path.module}/policies/machine.json", {
    function   = aws_lambda_function.rank.arn
    runs       = local.runs
    machine    = local.machine
    executions = local.executions
  })
}

resource "aws_sfn_state_machine" "this" {
  name     = local.name
  type     = "STANDARD"
  role_arn = aws_iam_role.machine.arn
  definition = templatefile("${path.module}/state_machine.asl.json", {
    function_arn = aws_lambda_function.rank.arn
  })
  depends_on = [aws_iam_role_policy.machine]
}

# The portal: starts, asks after and stops executions; writes and deletes below its own folder.

resource "aws_iam_user" "portal" { name = "${local.name}-portal" }

resource "aws_iam_user_policy" "portal" {
  user = aws_iam_user.portal.name
  policy = templatefile("${path.module}/policies/portal.json", {
    bucket     = aws_s3_bucket.this.arn
    runs       = local.runs
    sets       = local.sets
    machine    = aws_sfn_state_machine.this.arn
    executions = local.executions
  })
}

output "state_machine_arn" { value = aws_sfn_state_machine.this.arn }
output "region" { value = var.region }
output "bucket" { value = aws_s3_bucket.this.id }
output "portal_user" { value = aws_iam_user.portal.name }
