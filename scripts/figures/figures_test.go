package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const output = `goos: linux
goarch: amd64
pkg: vigie/interop
cpu: a machine
BenchmarkNotify/others=1000/watchers=10-2 	 62	 25131 ns/op	 18.71 cpu-µs/op	 3937 B/op	 13 allocs/op
BenchmarkNotify/others=1000/watchers=10-2 	 61	 25132 ns/op	 16.71 cpu-µs/op	 3937 B/op	 13 allocs/op
BenchmarkNotify/others=1000/watchers=10-2 	 63	 25130 ns/op	 17.71 cpu-µs/op	 3937 B/op	 13 allocs/op
BenchmarkNotify/others=1000/watchers=100-2 	 69	 17970 ns/op	 16.78 cpu-µs/op	 3443 B/op	 11 allocs/op
PASS
ok  	vigie/interop	68.248s
`

func TestTable(t *testing.T) {
	var got bytes.Buffer
	if err := table(&got, write(t, t.TempDir(), "bench.txt", output)); err != nil {
		t.Fatal(err)
	}
	want := "  Notify/others=1000/watchers=10-2   25131  3937  13         17.7 cpu-µs/op\n"
	if !strings.Contains(got.String(), want) {
		t.Errorf("no line\n%s in\n%s", want, &got)
	}
}

// The same data give the same bytes, so that committed pictures do not change.
func TestPlotsAreReproducible(t *testing.T) {
	dir := t.TempDir()
	if err := collect(write(t, dir, "bench.txt", output), dir, "here"); err != nil {
		t.Fatal(err)
	}
	draw := func() string {
		if err := plots(dir); err != nil {
			t.Fatal(err)
		}
		svg, err := os.ReadFile(filepath.Join(dir, "notify.svg"))
		if err != nil {
			t.Fatal(err)
		}
		return string(svg)
	}
	first := draw()
	if draw() != first {
		t.Error("the second picture is another")
	}
	if !strings.Contains(first, ">1,000 other subscriptions<") {
		t.Error("the picture has no legend")
	}
}

func TestCompare(t *testing.T) {
	file := write(t, t.TempDir(), "results.jsonl", `{"label":"vigie","scenario":"s1","closed":{"cpu_ms_per_op":0.030}}
{"label":"vigie","scenario":"s1","closed":{"cpu_ms_per_op":0.034}}
{"label":"vigie","scenario":"s1","closed":{"cpu_ms_per_op":0.032}}
{"label":"other","scenario":"s1","closed":{"cpu_ms_per_op":0.3}}
`)
	var got bytes.Buffer
	if err := compare(&got, []string{file}); err != nil {
		t.Fatal(err)
	}
	want := "| | vigie | other |\n|---|---:|---:|\n| SUBSCRIBE, 200, NOTIFY, 200 | 30 / **32** / 34 | 300 |\n"
	if !strings.Contains(got.String(), want) {
		t.Errorf("no\n%s in\n%s", want, &got)
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
