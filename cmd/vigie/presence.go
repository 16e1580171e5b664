package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"vigie/api"
	"vigie/app"
)

// target is the server a command talks to: --server and --token, else the one
// that runs on the data directory.
type target struct {
	data
	Server string `env:"VIGIE_SERVER" placeholder:"URL" help:"A server elsewhere, such as https://sip.example.com; needs --token."`
	Token  string `env:"VIGIE_TOKEN" placeholder:"TOKEN" help:"Token for --server."`
}

func (t *target) client(ctx context.Context) (*api.Client, error) {
	if t.Server != "" {
		if t.Token == "" {
			return nil, wrongUse("--server needs a token: give --token or set VIGIE_TOKEN; `vigie account token` makes one")
		}
		return &api.Client{Server: t.Server, Token: t.Token}, nil
	}
	running, err := app.FindRunning(ctx, t.Data)
	if errors.Is(err, app.ErrNotRunning) {
		return nil, fmt.Errorf("%w; start one with `vigie serve --data %s`, or name its directory with --data or its address with --server", err, t.Data)
	}
	if err != nil {
		return nil, err
	}
	if running.HTTP == "" {
		return nil, errors.New("the running server has no HTTP listener; give it one with listen in [http]")
	}
	return &api.Client{Server: running.HTTP, Token: running.Token}, nil
}

type status struct {
	target
	JSON bool `name:"json" help:"Print everything as JSON."`
}

func (c *status) Run(ctx context.Context) error {
	client, err := c.client(ctx)
	if err != nil {
		return err
	}
	s, err := client.Status(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(s)
	}
	fmt.Printf("vigie %s, %s, up %s\n", s.Version, s.State, time.Since(s.Started).Round(time.Second))
	fmt.Printf("domains    %s\n", strings.Join(s.Domains, " "))
	fmt.Printf("listeners  %s\n", strings.Join(s.Listeners, " "))
	fmt.Printf("storage    %s, %s\n\n", s.Directory, s.Durability)
	for _, name := range slices.Sorted(maps.Keys(s.Counters)) {
		if v := s.Counters[name]; v != 0 || inhabitants(name) {
			fmt.Printf("%-72s %.10g\n", name, v)
		}
	}
	return nil
}

// inhabitants tells the numbers that are worth a line even when they are zero.
func inhabitants(name string) bool {
	return strings.HasPrefix(name, "vigie_publications") || strings.HasPrefix(name, "vigie_subscriptions")
}

type publish struct {
	target
	Address  string        `arg:"" help:"Address, such as alice@example.com."`
	State    string        `arg:"" optional:"" default:"open" enum:"open,closed" help:"open (the default) or closed."`
	Activity string        `placeholder:"WORD" help:"What the person does, such as away, busy, meeting, on-the-phone."`
	Note     string        `placeholder:"TEXT" help:"A note for watchers."`
	Expires  time.Duration `placeholder:"DURATION" help:"How long it holds, such as 1h; without it what the server gives."`
	Name     string        `default:"cli" help:"Name of the publication; publishing again under a name replaces it (${default})."`
	Remove   bool          `help:"Take back what was published under the name."`
}

func (c *publish) Run(ctx context.Context) error {
	client, err := c.client(ctx)
	if err != nil {
		return err
	}
	if c.Remove {
		if err := client.Unpublish(ctx, c.Address, c.Name); err != nil {
			return err
		}
		fmt.Printf("Took back what %q said about %s.\n", c.Name, c.Address)
		return nil
	}
	p, err := client.Publish(ctx, c.Address, c.Name, api.NewPresence{State: c.State, Activity: c.Activity, Note: c.Note, Expires: api.Duration(c.Expires)})
	if err != nil {
		return err
	}
	fmt.Printf("Published for %s, for %s.\n", c.Address, p.Expires)
	return nil
}

type watch struct {
	target
	Address string `arg:"" help:"Address, such as alice@example.com."`
	Once    bool   `help:"Show the present state and end."`
	JSON    bool   `name:"json" help:"Print one JSON object a line."`
}

func (c *watch) Run(ctx context.Context) error {
	client, err := c.client(ctx)
	if err != nil {
		return err
	}
	if c.Once {
		p, err := client.Presence(ctx, c.Address)
		if err != nil {
			return err
		}
		return c.show(p)
	}
	reason, err := client.Watch(ctx, c.Address, c.show)
	if ctx.Err() != nil {
		return nil // interrupted, as it is meant to be
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("the server ended the subscription: %s", reason)
}

func (c *watch) show(p api.Presence) error {
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(p)
	}
	_, err := fmt.Printf("%s  %s\n", time.Now().Format(time.TimeOnly), line(p))
	return err
}

// line is a presentity in one line.
func line(p api.Presence) string {
	parts := []string{p.Address}
	if p.Subscription == "pending" {
		return p.Address + "  waiting for a decision"
	}
	parts = append(parts, p.State)
	if len(p.Activities) > 0 {
		parts = append(parts, strings.Join(p.Activities, ", "))
	}
	if len(p.Notes) > 0 {
		parts = append(parts, printable(strings.Join(p.Notes, " / ")))
	}
	if len(p.Services) > 1 {
		services := make([]string, len(p.Services))
		for i, s := range p.Services {
			services[i] = printable(s.ID) + " " + s.State
		}
		parts = append(parts, "("+strings.Join(services, ", ")+")")
	}
	return strings.Join(parts, "  ")
}

// printable keeps what others wrote from steering the terminal.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 {
			return ' '
		}
		return c
	}, s)
}
