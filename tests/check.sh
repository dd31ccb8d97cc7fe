# What scripts count by: they are run from the project's root and begin with `. tests/check.sh`.
passed=0 failed=0
check() { # check DESCRIPTION STATUS: 0 is good
    if [ "$2" -eq 0 ]; then passed=$((passed + 1))
    else failed=$((failed + 1)); echo "failed: $1"; fi
}
finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}
