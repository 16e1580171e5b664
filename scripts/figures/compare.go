package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// results are what the load generator wrote: server, scenario, runs.
type results struct {
	servers []string // as first met
	runs    map[string]map[string][]map[string]any
}

// figure is one row: where it stands in a result, and the factor to its unit.
type figure struct {
	name, scenario, path string
	factor               float64
}

// comparisons are the tables side by side, with the fields of the load
// generator's results they are read from.
var comparisons = []struct {
	title   string
	figures []figure
}{
	{"CPU µs per operation, the database's included", []figure{
		{"SUBSCRIBE, 200, NOTIFY, 200", "s1", "closed.cpu_ms_per_op", 1000},
		{"refresh SUBSCRIBE, 200, NOTIFY, 200", "s1", "resub_closed.cpu_ms_per_op", 1000},
		{"initial PUBLISH", "s23", "initial_closed.cpu_ms_per_op", 1000},
		{"refresh PUBLISH", "s23", "refresh_closed.cpu_ms_per_op", 1000},
		{"modify PUBLISH, no watchers", "s23", "modify_closed.cpu_ms_per_op", 1000},
		{"NOTIFY, 200 at 10 watchers", "s4", "w10.cpu_ms_per_notify", 1000},
		{"NOTIFY, 200 at 100 watchers", "s4", "w100.cpu_ms_per_notify", 1000},
		{"NOTIFY, 200 at 1,000 watchers", "s4", "w1000.cpu_ms_per_notify", 1000},
		{"NOTIFY, 200 at 3,000 watchers", "s4", "w3000.cpu_ms_per_notify", 1000},
		{"NOTIFY, 200 at 10,000 watchers", "s4", "w10000.cpu_ms_per_notify", 1000},
		{"change told to 20 watchers", "s5", "at_max.cpu_ms_per_op", 1000},
		{"request of a reconnect storm", "s6", "storm.cpu_ms_per_op", 1000},
		{"UDP echo of 450 B (floor)", "floor", "echo_cpu_us_per_pkt", 1},
	}},
	{"Operations a second, one core", []figure{
		{"SUBSCRIBE, 200, NOTIFY, 200", "s1", "closed.per_s", 1},
		{"refresh SUBSCRIBE, 200, NOTIFY, 200", "s1", "resub_closed.per_s", 1},
		{"initial PUBLISH", "s23", "initial_closed.per_s", 1},
		{"refresh PUBLISH", "s23", "refresh_closed.per_s", 1},
		{"modify PUBLISH, no watchers", "s23", "modify_closed.per_s", 1},
		{"NOTIFY at 100 watchers", "s4", "w100.notify_per_s", 1},
		{"NOTIFY at 1,000 watchers", "s4", "w1000.notify_per_s", 1},
		{"changes in the enterprise mix", "s5", "max_rate", 1},
		{"UDP echo of 450 B (floor)", "floor", "echo_per_s", 1},
	}},
	{"Time, ms", []figure{
		{"first state after SUBSCRIBE at 500/s, p99", "s1", "open500.lat_state.p99_ms", 1},
		{"last of 1,000 watchers told, p50", "s4", "w1000.lat_last.p50_ms", 1},
		{"change told in the enterprise mix at its highest rate, p99", "s5", "at_max.lat.p99_ms", 1},
		{"reconnect storm, until all is done", "s6", "storm.secs", 1000},
	}},
	{"Memory, bytes", []figure{
		{"a subscription", "s7", "bytes_per_sub_srv", 1},
		{"a publication", "s7", "bytes_per_pub_srv", 1},
	}},
}

// compare prints a Markdown table for each comparison that has a figure.
func compare(w io.Writer, files []string) error {
	r := &results{runs: map[string]map[string][]map[string]any{}}
	for _, file := range files {
		if err := r.read(file); err != nil {
			return err
		}
	}
	fmt.Fprintln(w, "Cells: minimum / **median** / maximum over the rounds; one number when there was one round.")
	for _, c := range comparisons {
		rows := r.rows(c.figures)
		if len(rows) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n### %s\n\n| | %s |\n|---|%s\n%s\n", c.title, strings.Join(r.servers, " | "),
			strings.Repeat("---:|", len(r.servers)), strings.Join(rows, "\n"))
	}
	return nil
}

func (r *results) read(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var run map[string]any
		if err := json.Unmarshal(lines.Bytes(), &run); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		server, _ := run["label"].(string)
		scenario, _ := run["scenario"].(string)
		if scenario == "floor" && run["size"] != 450.0 {
			continue // the size of a message of SIP is what compares
		}
		if r.runs[server] == nil {
			r.servers = append(r.servers, server)
			r.runs[server] = map[string][]map[string]any{}
		}
		r.runs[server][scenario] = append(r.runs[server][scenario], run)
	}
	return lines.Err()
}

func (r *results) rows(figures []figure) []string {
	var rows []string
	for _, f := range figures {
		row, any := "| "+f.name+" |", false
		for _, server := range r.servers {
			cell := f.cell(r.runs[server][f.scenario])
			any = any || cell != ""
			row += " " + cell + " |"
		}
		if any {
			rows = append(rows, row)
		}
	}
	return rows
}

func (f figure) cell(runs []map[string]any) string {
	var values []float64
	for _, run := range runs {
		if v, ok := lookUp(run, f.path); ok {
			values = append(values, v*f.factor)
		}
	}
	switch len(values) {
	case 0:
		return ""
	case 1:
		return number(values[0])
	}
	return number(slices.Min(values)) + " / **" + number(median(values)) + "** / " + number(slices.Max(values))
}

// lookUp follows a path of names joined by dots.
func lookUp(run map[string]any, path string) (float64, bool) {
	var at any = run
	for name := range strings.SplitSeq(path, ".") {
		fields, ok := at.(map[string]any)
		if !ok {
			return 0, false
		}
		at = fields[name]
	}
	v, ok := at.(float64)
	return v, ok
}
