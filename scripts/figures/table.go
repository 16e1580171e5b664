package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"golang.org/x/perf/benchfmt"
)

// usual units have a column each, in this order; what else a benchmark reports
// stands in the last one, with its unit.
var usual = []string{"ns/op", "B/op", "allocs/op"}

// benchmark is one line of the table: the median of its runs (-count).
type benchmark struct {
	pkg, name string
	units     []string // as first met
	values    map[string][]float64
}

// table prints a file of benchmark output as one table, package by package.
func table(w io.Writer, file string) error {
	benchmarks, err := readBenchmarks(file)
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	pkg := ""
	for _, b := range benchmarks {
		if b.pkg != pkg {
			pkg = b.pkg
			fmt.Fprintf(out, "\n%s\t%s\tother\n", pkg, strings.Join(usual, "\t"))
		}
		fmt.Fprintf(out, "  %s\t%s\n", b.name, strings.Join(b.cells(), "\t"))
	}
	return out.Flush()
}

func readBenchmarks(file string) ([]*benchmark, error) {
	var all []*benchmark
	known := map[string]*benchmark{}
	files := benchfmt.Files{Paths: []string{file}}
	for files.Scan() {
		r, ok := files.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		pkg, name := r.GetConfig("pkg"), string(r.Name.Full())
		b := known[pkg+" "+name]
		if b == nil {
			b = &benchmark{pkg: pkg, name: name, values: map[string][]float64{}}
			known[pkg+" "+name] = b
			all = append(all, b)
		}
		for _, v := range r.Values {
			b.add(v)
		}
	}
	return all, files.Err()
}

// add takes a value in the unit it was printed in.
func (b *benchmark) add(v benchfmt.Value) {
	value, unit := v.Value, v.Unit
	if v.OrigUnit != "" {
		value, unit = v.OrigValue, v.OrigUnit
	}
	if _, ok := b.values[unit]; !ok {
		b.units = append(b.units, unit)
	}
	b.values[unit] = append(b.values[unit], value)
}

func (b *benchmark) cells() []string {
	var other []string
	cells := make([]string, len(usual))
	if b.median(usual[0]) != "" { // without time per operation, allocations are not per operation either
		for i, unit := range usual {
			cells[i] = b.median(unit)
		}
	}
	for _, unit := range b.units {
		if !slices.Contains(usual, unit) {
			other = append(other, b.median(unit)+" "+unit)
		}
	}
	return append(cells, strings.Join(other, ", "))
}

func (b *benchmark) median(unit string) string {
	if values := b.values[unit]; len(values) > 0 {
		return number(median(values))
	}
	return ""
}

// median is the lower middle one, so that it was measured.
func median[T cmp.Ordered](values []T) T {
	return slices.Sorted(slices.Values(values))[(len(values)-1)/2]
}

// number prints three digits, or all before the point.
func number(f float64) string {
	switch {
	case f == 0:
		return "0"
	case f >= 100:
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	return strconv.FormatFloat(f, 'g', 3, 64)
}
