package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"vigie/api"
	"vigie/app"
)

type accounts struct {
	Add      accountAdd      `cmd:"" help:"Make an account."`
	List     accountList     `cmd:"" help:"List accounts."`
	Password accountPassword `cmd:"" help:"Change an account's password."`
	Remove   accountRemove   `cmd:"" help:"Remove an account and its tokens."`
	Token    accountToken    `cmd:"" help:"Make a token with which a program uses the API, or end one."`
	Tokens   accountTokens   `cmd:"" help:"List an account's tokens."`
}

// book gives the accounts: those of --server, or those of the data directory,
// through its server when one runs.
func (t *target) book(ctx context.Context) (api.AccountBook, func(), error) {
	if t.Server != "" {
		client, err := t.client(ctx)
		return client, func() {}, err
	}
	quiet := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	book, closing, err := app.OpenAccounts(ctx, t.Data, quiet)
	if err != nil {
		return nil, nil, err
	}
	return book, func() {
		if err := closing(); err != nil {
			fmt.Fprintln(os.Stderr, "vigie: close the directory:", err)
		}
	}, nil
}

// password is the option that gives a password.
type password struct {
	Password string `placeholder:"PASSWORD" help:"The password; - reads a line from standard input. Without it one is chosen and shown."`
}

func (p *password) read() (string, error) {
	if p.Password != "-" {
		return p.Password, nil
	}
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil && (!errors.Is(err, io.EOF) || line == "") {
		return "", wrongUse("--password - reads the password from standard input, which holds none")
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", wrongUse("the password on standard input is empty")
	}
	return line, nil
}

type accountAdd struct {
	target
	password
	Address   string   `arg:"" help:"Address, such as alice@example.com."`
	Username  string   `help:"User name for authentication, if it is not the user part of the address."`
	Admin     bool     `help:"Make it an administrator."`
	Delegates []string `name:"delegate" placeholder:"ADDRESS" help:"Somebody who may publish for it; may be repeated."`
}

func (c *accountAdd) Run(ctx context.Context) error {
	secret, err := c.read()
	if err != nil {
		return err
	}
	book, done, err := c.book(ctx)
	if err != nil {
		return err
	}
	defer done()
	a, err := book.Add(ctx, api.NewAccount{Address: c.Address, Username: c.Username, Password: secret, Admin: c.Admin, Delegates: c.Delegates})
	if err != nil {
		return err
	}
	fmt.Printf("Added %s.\n", a.Address)
	showPassword(a)
	return nil
}

func showPassword(a api.Account) {
	if a.Password != "" {
		fmt.Printf("Its password is %s (shown this once).\n", a.Password)
	}
}

type accountList struct {
	target
	Domain string `arg:"" optional:"" help:"Only accounts of this domain."`
}

func (c *accountList) Run(ctx context.Context) error {
	book, done, err := c.book(ctx)
	if err != nil {
		return err
	}
	defer done()
	list, err := book.List(ctx, c.Domain)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ADDRESS\tUSERNAME\tADMIN\tDELEGATES\tCREATED")
	for _, a := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", a.Address, a.Username, yesno(a.Admin), strings.Join(a.Delegates, ","), a.Created.Format(time.DateOnly))
	}
	return w.Flush()
}

type accountPassword struct {
	target
	password
	Address string `arg:"" help:"Address, such as alice@example.com."`
}

func (c *accountPassword) Run(ctx context.Context) error {
	secret, err := c.read()
	if err != nil {
		return err
	}
	book, done, err := c.book(ctx)
	if err != nil {
		return err
	}
	defer done()
	a, err := book.Change(ctx, c.Address, api.AccountChange{Password: &secret})
	if err != nil {
		return err
	}
	fmt.Printf("Changed the password of %s.\n", a.Address)
	showPassword(a)
	return nil
}

type accountRemove struct {
	target
	Address string `arg:"" help:"Address, such as alice@example.com."`
}

func (c *accountRemove) Run(ctx context.Context) error {
	book, done, err := c.book(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := book.Remove(ctx, c.Address); err != nil {
		return err
	}
	fmt.Printf("Removed %s.\n", c.Address)
	return nil
}

type accountToken struct {
	target
	Address string        `arg:"" help:"Address of the account that the token acts for."`
	Name    string        `default:"cli" help:"Name of the token (${default})."`
	Admin   bool          `help:"Give it the rights of an administrator, which the account must be."`
	Expires time.Duration `placeholder:"DURATION" help:"How long it is good, such as 720h; for ever without."`
	Remove  bool          `help:"End the token of this name."`
}

func (c *accountToken) Run(ctx context.Context) error {
	book, done, err := c.book(ctx)
	if err != nil {
		return err
	}
	defer done()
	if c.Remove {
		if err := book.RemoveToken(ctx, c.Address, c.Name); err != nil {
			return err
		}
		fmt.Printf("Ended the token %q of %s.\n", c.Name, c.Address)
		return nil
	}
	t, err := book.NewToken(ctx, c.Address, api.NewToken{Name: c.Name, Admin: c.Admin, ExpiresIn: api.Duration(c.Expires)})
	if err != nil {
		return err
	}
	fmt.Println(t.Secret)
	return nil
}

type accountTokens struct {
	target
	Address string `arg:"" help:"Address, such as alice@example.com."`
}

func (c *accountTokens) Run(ctx context.Context) error {
	book, done, err := c.book(ctx)
	if err != nil {
		return err
	}
	defer done()
	list, err := book.Tokens(ctx, c.Address)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tADMIN\tCREATED\tEXPIRES")
	for _, t := range list {
		expires := "never"
		if t.Expires != nil {
			expires = t.Expires.Local().Format(time.DateTime)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", printable(t.Name), yesno(t.Admin), t.Created.Format(time.DateOnly), expires)
	}
	return w.Flush()
}

func yesno(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
