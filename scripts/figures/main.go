// Command figures turns measured figures into what people read: benchmark
// output into a table, the committed data of docs/performance into plots,
// the load generator's results into tables side by side. It is a module of its
// own, so that the server's has no libraries for charts.
package main

import (
	"fmt"
	"os"
)

const usage = `figures table FILE               output of go test -bench, as a table
figures collect FILE DIR NOTE    from such output DIR/*.csv, the data of the plots
figures plots DIR                DIR/*.csv as SVG, beside them
figures compare FILE...          results of the load generator (JSON lines), as Markdown
`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "table":
		return table(os.Stdout, args[1])
	case len(args) == 4 && args[0] == "collect":
		return collect(args[1], args[2], args[3])
	case len(args) == 2 && args[0] == "plots":
		return plots(args[1])
	case len(args) > 1 && args[0] == "compare":
		return compare(os.Stdout, args[1:])
	}
	return fmt.Errorf("what is wanted?\n%s", usage)
}
