// Package xmltree reads XML into a tree over the original bytes.
package xmltree
