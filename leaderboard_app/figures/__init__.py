"""Tables → Plotly figures: what is plotted is what the rows hold."""
