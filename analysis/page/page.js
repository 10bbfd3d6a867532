(function () {
  "use strict";
  var config = { responsive: true, displayModeBar: false, showTips: false };
  // A finger on a figure means to scroll the page, not to zoom.
  var touch = window.matchMedia("(pointer: coarse)").matches;
  var plots = Array.prototype.slice.call(document.querySelectorAll(".plot"));

  function unpacked(id) {
    var bytes = Uint8Array.from(atob(document.getElementById(id).textContent),
      function (c) { return c.charCodeAt(0); });
    var stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).text();
  }

  function draw(plot) {
    var drawing = plot.drawing;
    plot.drawing = null;
    // The legend takes more lines on a narrow screen: leave the curves their height.
    if (plot.clientWidth < 480 && drawing.layout.showlegend) {
      drawing.layout.height += 70;
      plot.style.height = drawing.layout.height + "px";
    }
    if (touch) { drawing.layout.dragmode = false; }
    Plotly.newPlot(plot, drawing.data, drawing.layout, config);
  }

  function start(texts) {
    var library = document.createElement("script");
    library.textContent = texts[0];
    document.head.appendChild(library);
    var packed = JSON.parse(texts[1]);
    // A long text is kept once; what uses it has a mark and its number.
    var drawings = JSON.parse(JSON.stringify(packed.figures), function (key, value) {
      return typeof value === "string" && value[0] === "\u0001"
        ? packed.texts[value.slice(1)] : value;
    });
    plots.forEach(function (plot) { plot.drawing = drawings[plot.dataset.figure]; });
    // A folded part is drawn when it is opened.
    plots.forEach(function (plot) {
      if (!plot.closest("details:not([open])")) { draw(plot); }
    });
  }

  if (plots.length && typeof DecompressionStream === "undefined") {
    document.querySelector("header").append(document.getElementById("old-browser").content);
  } else if (plots.length) {
    Promise.all([unpacked("plotly"), unpacked("figures")]).then(start);
  }

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
    if (typeof Plotly === "undefined") { return; }
    plots.forEach(function (plot) {
      if (plot.drawing) { draw(plot); }
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
      part.querySelectorAll(".plot").forEach(function (plot) {
        if (plot.drawing && !plot.closest("details:not([open])")) { draw(plot); }
        else if (plot.data) { Plotly.Plots.resize(plot); }
      });
    });
  });
})();
