using System.IO.Compression;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace GptFunctions.TelemetryView;

/// <summary>An OpenTelemetry collector of the smallest kind: takes OTLP over HTTP with Protocol Buffers, on 127.0.0.1, and hands it over.</summary>
internal sealed class OtlpReceiver : IAsyncDisposable
{
    private readonly WebApplication app;

    private OtlpReceiver(WebApplication app) => this.app = app;

    /// <summary>What OTEL_EXPORTER_OTLP_ENDPOINT has to be, with OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf.</summary>
    public string Url => app.Urls.First();

    /// <summary>Asked before each answer; 200 when left out. What is refused is not handed over.</summary>
    public Func<Task<HttpStatusCode>> Answer { get; set; } = () => Task.FromResult(HttpStatusCode.OK);

    /// <param name="port">0 for any that is free.</param>
    /// <param name="take">Called with traces, metrics or logs, and with the request.</param>
    public static async Task<OtlpReceiver> StartAsync(int port, Action<string, byte[]> take)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        var app = builder.Build();
        var receiver = new OtlpReceiver(app);
        app.Run(async context =>
        {
            var signal = context.Request.Path.Value?.Split('/')[^1];
            if (signal is not ("traces" or "metrics" or "logs"))
            {
                context.Response.StatusCode = StatusCodes.Status404NotFound;
                return;
            }

            using var body = new MemoryStream();
            await using var source = context.Request.Headers.ContentEncoding == "gzip"
                ? new GZipStream(context.Request.Body, CompressionMode.Decompress)
                : context.Request.Body;
            await source.CopyToAsync(body, context.RequestAborted);
            var status = await receiver.Answer();
            if (status == HttpStatusCode.OK)
            {
                take(signal, body.ToArray());
            }

            context.Response.StatusCode = (int)status;
            context.Response.ContentType = "application/x-protobuf"; // and an empty one: everything was taken
        });
        await app.StartAsync();
        return receiver;
    }

    public async ValueTask DisposeAsync()
    {
        await app.StopAsync();
        await app.DisposeAsync();
    }
}
