package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// chart is one data file: comment lines "# key: value" that say what is shown
// and how it was measured, then rows of series, x, y.
type chart struct {
	title, x, y string
	series      []series
}

type series struct {
	name   string
	points plotter.XYs
}

// plots draws every data file of a folder. The same data give the same bytes.
func plots(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.csv"))
	if err != nil {
		return err
	}
	for _, file := range files {
		c, err := readChart(file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := c.draw(strings.TrimSuffix(file, ".csv") + ".svg"); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

func readChart(file string) (*chart, error) {
	c := &chart{}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for lines := bufio.NewScanner(strings.NewReader(string(text))); lines.Scan(); {
		key, value, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "# "), ": ")
		switch key {
		case "title":
			c.title = value
		case "x":
			c.x = value
		case "y":
			c.y = value
		}
	}
	r := csv.NewReader(strings.NewReader(string(text)))
	r.Comment, r.FieldsPerRecord = '#', 3
	rows, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	if len(rows) < 2 || c.title == "" || c.x == "" || c.y == "" {
		return nil, errors.New("want title, x and y as comments, a row of names, and rows of figures")
	}
	for _, row := range rows[1:] {
		if err := c.add(row[0], row[1], row[2]); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *chart) add(name, x, y string) error {
	px, errX := strconv.ParseFloat(x, 64)
	py, errY := strconv.ParseFloat(y, 64)
	if err := errors.Join(errX, errY); err != nil {
		return err
	}
	if px <= 0 {
		return fmt.Errorf("x is %s, which has no place on a logarithmic axis", x)
	}
	if n := len(c.series); n == 0 || c.series[n-1].name != name {
		c.series = append(c.series, series{name: name})
	}
	last := &c.series[len(c.series)-1]
	last.points = append(last.points, plotter.XY{X: px, Y: py})
	return nil
}

// draw makes a picture with sizes growing by powers of ten to the right and
// cost from zero upwards, so that a flat line is what it seems.
func (c *chart) draw(file string) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.title, c.x, c.y
	sans(&p.Title.TextStyle, 15)
	p.Title.Padding = 8
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		sans(&axis.Label.TextStyle, 12)
		sans(&axis.Tick.Label, 11)
		axis.Label.Padding = 5
	}
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.TickerFunc(powersOfTen)
	p.Y.Tick.Marker = plot.TickerFunc(steps)
	sans(&p.Legend.TextStyle, 11)
	p.Legend.Padding, p.Legend.ThumbnailWidth = 3, 24
	p.Add(plotter.NewGrid())
	top := 0.0
	for i, s := range c.series {
		line, points, err := plotter.NewLinePoints(s.points)
		if err != nil {
			return err
		}
		color := plotutil.DarkColors[i%len(plotutil.DarkColors)]
		line.Color, line.Width = color, 2
		points.Color, points.Shape, points.Radius = color, draw.CircleGlyph{}, 4
		p.Add(line, points)
		p.Legend.Add(s.name, line, points)
		_, _, _, most := plotter.XYRange(s.points)
		top = max(top, most)
	}
	// Room above the highest line is where the legend stands.
	p.Y.Min, p.Y.Max = 0, top*(1.15+0.09*float64(len(c.series)))
	p.Legend.Top, p.Legend.Left, p.Legend.XOffs, p.Legend.YOffs = true, true, 8, -4
	return save(p, file)
}

// save leaves room at the right for half of the last label, and names fonts
// that a reader without the first one has.
func save(p *plot.Plot, file string) error {
	canvas := vgsvg.New(7*vg.Inch, 4*vg.Inch)
	p.Draw(draw.Crop(draw.New(canvas), 6, -16, 6, -6))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return err
	}
	svg := bytes.ReplaceAll(out.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,sans-serif;"))
	return os.WriteFile(file, svg, 0o644)
}

// sans is text without serifs, which small sizes need.
func sans(style *draw.TextStyle, size vg.Length) {
	style.Font.Variant, style.Font.Size = "Sans", size
}

// powersOfTen marks 1, 10, 100 … with labels, and 2, 3 … between without.
func powersOfTen(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for power := 1.0; power <= high*1.001; power *= 10 {
		for digit := range 9 {
			at, label := power*float64(digit+1), ""
			if digit == 0 {
				label = grouped(strconv.FormatFloat(at, 'f', 0, 64))
			}
			if at >= low*0.999 && at <= high*1.001 {
				ticks = append(ticks, plot.Tick{Value: at, Label: label})
			}
		}
	}
	return ticks
}

// steps marks from zero on, four to ten times in all, in steps of 1, 2 or 5 and noughts.
func steps(_, high float64) []plot.Tick {
	power, step := math.Pow(10, math.Floor(math.Log10(high))), 0.0
	for _, part := range []float64{1, 0.5, 0.2} {
		if step = power * part; high/step >= 4 {
			break
		}
	}
	var ticks []plot.Tick
	for i := 0; float64(i)*step <= high; i++ {
		at := float64(i) * step
		ticks = append(ticks, plot.Tick{Value: at, Label: strconv.FormatFloat(at, 'g', 4, 64)})
	}
	return ticks
}

// grouped prints a whole number as people do: 100,000. Other text stays as it is.
func grouped(text string) string {
	if _, err := strconv.Atoi(text); err != nil {
		return text
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
