(function () {
  "use strict";
  var config = { responsive: true, displayModeBar: false, showTips: false };
  // A finger on a figure means to scroll the page, not to zoom.
  var touch = window.matchMedia("(pointer: coarse)").matches;
  var plots = Array.prototype.slice.call(document.querySelectorAll(".plot"));

  plots.forEach(function (plot) {
    var source = plot.querySelector("script");
    var drawing = JSON.parse(source.textContent);
    source.remove();
    // The legend takes more lines on a narrow screen: leave the curves their height.
    if (plot.clientWidth < 480 && drawing.layout.showlegend) {
      drawing.layout.height += 70;
      plot.style.height = drawing.layout.height + "px";
    }
    if (touch) { drawing.layout.dragmode = false; }
    Plotly.newPlot(plot, drawing.data, drawing.layout, config);
  });

  document.querySelectorAll("button.svg").forEach(function (button) {
    button.addEventListener("click", function () {
      var figure = button.closest("figure");
      figure.querySelectorAll(".plot").forEach(function (plot, index, all) {
        var name = figure.id + (all.length > 1 ? "_" + (index + 1) : "");
        Plotly.downloadImage(plot, { format: "svg", filename: name,
          width: plot.clientWidth, height: plot.clientHeight });
      });
    });
  });

  // Paper has another width than the window, and folded parts must be on it.
  function fit(width) {
    plots.forEach(function (plot) {
      var small = plot.closest(".grid") !== null;
      Plotly.relayout(plot, width ? { autosize: false, width: small ? width / 2 - 12 : width }
                                  : { autosize: true, width: null });
    });
  }
  var folded = [];
  window.addEventListener("beforeprint", function () {
    folded = Array.prototype.slice.call(document.querySelectorAll("details:not([open])"));
    folded.forEach(function (part) { part.open = true; });
    fit(660);
  });
  window.addEventListener("afterprint", function () {
    folded.forEach(function (part) { part.open = false; });
    fit(null);
  });
  document.querySelectorAll("details").forEach(function (part) {
    part.addEventListener("toggle", function () {
      part.querySelectorAll(".plot").forEach(function (plot) { Plotly.Plots.resize(plot); });
    });
  });
})();
