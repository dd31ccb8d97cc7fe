#!/bin/sh
# from_scratch.sh SEED...: how many percent of its samples examples/00_from_scratch.c has right,
# seed by seed; with several, the means and half of their 95 % intervals (Student's t, up to 10).
: "${BUILD:=build}"
echo "| seed | after 1 step | after 50 | after 100 | after 150 | after 200 |"
echo "|---|---|---|---|---|---|"
for seed in "$@"; do
    "$BUILD/00_from_scratch" "$seed" | awk -F '|' -v seed="$seed" '
        $1 + 0 == 1 || ($1 + 0 > 0 && $1 % 50 == 0) { row = row " " $3 + 0 " |" }
        END { print "| " seed " |" row }'
done | awk -F '|' '
    { print; for (i = 3; i < NF; i++) { sum[i] += $i; squares[i] += $i * $i } }
    END { if (NR < 2 || NR > 10) exit
          split("12.706 4.303 3.182 2.776 2.571 2.447 2.365 2.306 2.262", t, " ")
          for (i = 3; i < NF; i++) {
              mean = sum[i] / NR
              row = row sprintf(" %.1f +- %.1f |", mean,
                                t[NR - 1] * sqrt((squares[i] / NR - mean * mean) / (NR - 1)))
          }
          print "| mean |" row }'
