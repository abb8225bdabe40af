#!/bin/sh
# Runs the test executable as a Lambda function: the pool starts a binary without arguments, as Lambda does.
exec "$TEST_EXECUTABLE" --exact lambda::tests::fake::plays_the_function --ignored --nocapture
