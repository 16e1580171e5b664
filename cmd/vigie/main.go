// Command vigie is a SIP presence server and the commands that look after it.
//
// Exit status: 0 when done, 1 when something failed, 2 when the command line or
// the configuration is wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"vigie/app"
)

const (
	statusFailed = 1
	statusWrong  = 2
)

// commands is the command line. Every command finds the data directory and, for
// those that talk to a server, the server, in the same way.
type commands struct {
	Serve   serve    `cmd:"" help:"Run the server."`
	Account accounts `cmd:"" help:"Look after accounts, whether or not a server runs."`
	Status  status   `cmd:"" help:"Show how the running server is."`
	Publish publish  `cmd:"" help:"Say something about a presentity."`
	Watch   watch    `cmd:"" help:"Watch a presentity until interrupted."`
	Check   check    `cmd:"" help:"Check a configuration file."`
	Config  config   `cmd:"" help:"Print a commented configuration file that equals the defaults."`
	Version version  `cmd:"" help:"Print the version."`

	PrintVersion kong.VersionFlag `name:"version" hidden:"" help:"Print the version."`
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	parser, err := kong.New(&commands{},
		kong.Name("vigie"),
		kong.Description("Vigie is a SIP presence server: it gathers what devices say about people and tells those who may know."),
		kong.UsageOnError(),
		kong.Vars{"version": "vigie " + versionString()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
	if err != nil {
		return report(err)
	}
	if len(args) == 0 || args[0] == "help" {
		args = append(args[min(1, len(args)):], "--help")
	}
	chosen, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "vigie: %v\nvigie --help lists the commands, vigie COMMAND --help their options\n", err)
		return statusWrong
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	chosen.BindTo(ctx, (*context.Context)(nil))
	return report(chosen.Run())
}

// report prints an error and chooses the exit status.
func report(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "vigie: %v\n", err)
	var problems app.Problems
	var wrong wrongUse
	if errors.As(err, &problems) || errors.As(err, &wrong) {
		return statusWrong
	}
	return statusFailed
}

// wrongUse is an error of the command line that its grammar does not show.
type wrongUse string

func (w wrongUse) Error() string { return string(w) }

type version struct{}

func (version) Run() error {
	fmt.Println("vigie", versionString())
	return nil
}

// versionString is what the build knows of its origin.
func versionString() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" {
		v = "(devel)"
	}
	return v + " " + info.GoVersion
}
