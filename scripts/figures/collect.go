package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// growth is a chart that shows how the server's CPU time per operation grows:
// the benchmarks whose name matches give its points.
type growth struct {
	file, title, x string
	name           *regexp.Regexp // with the groups x and series
	series         string         // printed for a series, %s being its group
	method         string
}

// growths are the charts of docs/performance.md.
func growths() []growth {
	return []growth{
		{"notify", "One NOTIFY with its 200", "watchers of the presentity",
			regexp.MustCompile(`^Notify/others=(?P<series>\d+)/watchers=(?P<x>\d+)`), "%s other subscriptions",
			"BenchmarkNotify: what the PUBLISH costs by itself is taken out; a thousand NOTIFYs or more a round"},
		{"publish", "One PUBLISH with its 200, nobody watching", "presentities",
			regexp.MustCompile(`^Publish/presentities=(?P<x>\d+)/(?P<series>[a-z]+)`), "%s",
			"BenchmarkPublish: 64 requests in flight"},
		{"subscribe", "One SUBSCRIBE with its 200, the NOTIFY and its 200", "subscriptions of other watchers",
			regexp.MustCompile(`^Subscribe/subscriptions=(?P<x>\d+)/(?P<series>[a-z]+)`), "%s",
			"BenchmarkSubscribe: 64 requests in flight"},
	}
}

// collect writes the data files of the plots from benchmark output, with a note
// of the machine and the circumstances. What the output lacks stays as it was.
func collect(file, dir, note string) error {
	benchmarks, err := readBenchmarks(file)
	if err != nil {
		return err
	}
	found := false
	for _, g := range growths() {
		rows := g.rows(benchmarks)
		if rows == "" {
			continue
		}
		found = true
		text := fmt.Sprintf("# title: %s\n# x: %s\n# y: CPU time of the server, µs\n# method: %s\n# machine: %s\nseries,x,y\n%s",
			g.title, g.x, g.method, note, rows)
		if err := os.WriteFile(filepath.Join(dir, g.file+".csv"), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%s has no benchmark of these plots", file)
	}
	return nil
}

// rows are the points, series by series.
func (g growth) rows(benchmarks []*benchmark) string {
	var names []string
	points := map[string]string{}
	for _, b := range benchmarks {
		m := g.name.FindStringSubmatch(b.name)
		if m == nil || b.median("cpu-µs/op") == "" {
			continue
		}
		series, x := m[g.name.SubexpIndex("series")], m[g.name.SubexpIndex("x")]
		series = fmt.Sprintf(g.series, grouped(series))
		if points[series] == "" {
			names = append(names, series)
		}
		points[series] += fmt.Sprintf("%q,%s,%s\n", series, x, b.median("cpu-µs/op"))
	}
	var out strings.Builder
	for _, name := range names {
		out.WriteString(points[name])
	}
	return out.String()
}
