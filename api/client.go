package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client calls the API of a running server.
type Client struct {
	Server string // "http://127.0.0.1:8080"
	Token  string
	HTTP   *http.Client // nil: one of its own
}

// ErrUnreachable says that no server answered.
var ErrUnreachable = errors.New("api: no server answers")

// List gives the accounts of a domain, all when it is empty.
func (c *Client) List(ctx context.Context, domain string) (list []Account, err error) {
	path := "/api/v1/accounts"
	if domain != "" {
		path += "?domain=" + url.QueryEscape(domain)
	}
	return list, c.call(ctx, http.MethodGet, path, nil, &list)
}

// Add makes an account.
func (c *Client) Add(ctx context.Context, n NewAccount) (a Account, err error) {
	return a, c.call(ctx, http.MethodPost, "/api/v1/accounts", n, &a)
}

// Change changes an account.
func (c *Client) Change(ctx context.Context, address string, change AccountChange) (a Account, err error) {
	return a, c.call(ctx, http.MethodPatch, "/api/v1/accounts/"+url.PathEscape(address), change, &a)
}

// Remove removes an account.
func (c *Client) Remove(ctx context.Context, address string) error {
	return c.call(ctx, http.MethodDelete, "/api/v1/accounts/"+url.PathEscape(address), nil, nil)
}

// NewToken makes a token for an account.
func (c *Client) NewToken(ctx context.Context, address string, n NewToken) (t Token, err error) {
	return t, c.call(ctx, http.MethodPost, "/api/v1/accounts/"+url.PathEscape(address)+"/tokens", n, &t)
}

// Tokens gives the tokens of an account, without their secrets.
func (c *Client) Tokens(ctx context.Context, address string) (list []Token, err error) {
	return list, c.call(ctx, http.MethodGet, "/api/v1/accounts/"+url.PathEscape(address)+"/tokens", nil, &list)
}

// RemoveToken ends a token.
func (c *Client) RemoveToken(ctx context.Context, address, name string) error {
	return c.call(ctx, http.MethodDelete, "/api/v1/accounts/"+url.PathEscape(address)+"/tokens/"+url.PathEscape(name), nil, nil)
}

// Status asks how the server is.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.call(ctx, http.MethodGet, "/api/v1/status", nil, &s)
}

// Presence asks what may be known of a presentity.
func (c *Client) Presence(ctx context.Context, address string) (p Presence, err error) {
	return p, c.call(ctx, http.MethodGet, presencePath(address), nil, &p)
}

// Publish says something about a presentity under a name.
func (c *Client) Publish(ctx context.Context, address, name string, n NewPresence) (p Published, err error) {
	return p, c.call(ctx, http.MethodPut, presencePath(address)+"?name="+url.QueryEscape(name), n, &p)
}

// Unpublish takes back what was said under a name.
func (c *Client) Unpublish(ctx context.Context, address, name string) error {
	return c.call(ctx, http.MethodDelete, presencePath(address)+"?name="+url.QueryEscape(name), nil, nil)
}

func presencePath(address string) string { return "/api/v1/presence/" + url.PathEscape(address) }

// Watch calls fn with the presence of a presentity and every change of it, until
// ctx ends, fn fails or the server ends the subscription; it gives the server's
// reason then.
func (c *Client) Watch(ctx context.Context, address string, fn func(Presence) error) (reason string, err error) {
	response, err := c.send(ctx, http.MethodGet, presencePath(address)+"/events", nil)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	name := ""
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case key == "event":
			name = value
		case key == "data" && name == "presence":
			var p Presence
			if err := json.Unmarshal([]byte(value), &p); err != nil {
				return "", fmt.Errorf("read an event: %w", err)
			}
			if err := fn(p); err != nil {
				return "", err
			}
		case key == "data" && name == "end":
			var end struct{ Reason string }
			if err := json.Unmarshal([]byte(value), &end); err != nil {
				return "", fmt.Errorf("read the last event: %w", err)
			}
			return end.Reason, nil
		}
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("read events: %w", err)
	}
	return "", fmt.Errorf("%w any more: the event stream ended", ErrUnreachable)
}

// call sends v as JSON and reads the answer into result; nil means none.
func (c *Client) call(ctx context.Context, method, path string, v, result any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	response, err := c.send(ctx, method, path, v)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if result == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(result); err != nil {
		return fmt.Errorf("read the server's answer to %s %s: %w", method, path, err)
	}
	return nil
}

// send gives the answer to a request when it is no refusal; a refusal becomes a
// *Problem.
func (c *Client) send(ctx context.Context, method, path string, v any) (*http.Response, error) {
	var body io.Reader
	if v != nil {
		data, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.Server, "/")+path, body)
	if err != nil {
		return nil, fmt.Errorf("the server's address %q does not serve: %w", c.Server, err)
	}
	request.Header.Set("Authorization", "Bearer "+c.Token)
	if v != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if ctx.Err() != nil && err != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if response.StatusCode < 300 {
		return response, nil
	}
	defer response.Body.Close()
	p := &Problem{Status: response.StatusCode}
	if err := json.NewDecoder(io.LimitReader(response.Body, 64<<10)).Decode(p); err != nil || p.Detail == "" {
		p.Detail = fmt.Sprintf("%s answered %s", c.Server, response.Status)
	}
	return nil, p
}
