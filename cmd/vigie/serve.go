package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"vigie/app"
)

// data is the option that names a data directory.
type data struct {
	Data string `default:"vigie-data" env:"VIGIE_DATA" type:"path" placeholder:"DIR" help:"Data directory; without it ${default}."`
}

type serve struct {
	data
	Config string `env:"VIGIE_CONFIG" type:"path" placeholder:"FILE" help:"Configuration file; without one the defaults hold."`
}

func (s *serve) Run(ctx context.Context) error {
	hangup := make(chan os.Signal, 1) // one that comes while starting is followed afterwards
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	c, err := app.Load(s.Config)
	if err != nil {
		return err
	}
	server, err := app.Start(ctx, c, app.Options{Data: s.Data, Version: versionString(), Output: os.Stdout, Program: os.Args[0]})
	if err != nil {
		if ctx.Err() != nil {
			return errors.New("stopped while starting")
		}
		return err
	}
	tellManager("READY=1")
	for {
		select {
		case <-hangup:
			server.Reload(s.Config)
		case <-ctx.Done():
			tellManager("STOPPING=1")
			return server.Stop()
		}
	}
}

type check struct {
	File string `arg:"" type:"path" help:"Configuration file."`
}

func (c *check) Run() error {
	if _, err := app.Load(c.File); err != nil {
		return err
	}
	fmt.Printf("%s is good.\n", c.File)
	return nil
}

type config struct{}

func (config) Run() error { return app.Default().Print(os.Stdout) }
