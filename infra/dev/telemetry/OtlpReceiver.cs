using System.IO.Compression;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace GptFunctions.TelemetryView;

/// <summary>
/// An OpenTelemetry collector of the smallest kind: takes OTLP with Protocol Buffers, over HTTP and over gRPC, on 127.0.0.1, and hands it over.
/// </summary>
internal sealed class OtlpReceiver : IAsyncDisposable
{
    private const int FrameHeader = 5; // of gRPC: whether it is compressed, and how long it is
    private readonly WebApplication app;

    private OtlpReceiver(WebApplication app) => this.app = app;

    /// <summary>What OTEL_EXPORTER_OTLP_ENDPOINT has to be, with OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf.</summary>
    public string Url => app.Urls.First();

    /// <summary>The same with OTEL_EXPORTER_OTLP_PROTOCOL=grpc.</summary>
    public string GrpcUrl => app.Urls.Last();

    /// <summary>Asked before each answer; 200 when left out. What is refused is not handed over.</summary>
    public Func<Task<HttpStatusCode>> Answer { get; set; } = () => Task.FromResult(HttpStatusCode.OK);

    /// <param name="take">Called with traces, metrics or logs, and with the request.</param>
    public static async Task<OtlpReceiver> StartAsync(Action<string, byte[]> take)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(options =>
        {
            options.Listen(IPAddress.Loopback, 0, endpoint => endpoint.Protocols = HttpProtocols.Http1);
            options.Listen(IPAddress.Loopback, 0, endpoint => endpoint.Protocols = HttpProtocols.Http2);
        });
        var receiver = new OtlpReceiver(builder.Build());
        receiver.app.Run(context => receiver.ReceiveAsync(context, take));
        await receiver.app.StartAsync();
        return receiver;
    }

    public async ValueTask DisposeAsync()
    {
        await app.StopAsync();
        await app.DisposeAsync();
    }

    private async Task ReceiveAsync(HttpContext context, Action<string, byte[]> take)
    {
        var isGrpc = context.Request.ContentType?.StartsWith("application/grpc", StringComparison.Ordinal) == true;
        using var body = new MemoryStream();
        await using var source = context.Request.Headers.ContentEncoding == "gzip"
            ? new GZipStream(context.Request.Body, CompressionMode.Decompress)
            : context.Request.Body;
        await source.CopyToAsync(body, context.RequestAborted);
        var status = SignalOf(context.Request.Path) is null ? HttpStatusCode.NotFound : await Answer();
        if (status == HttpStatusCode.OK)
        {
            take(SignalOf(context.Request.Path)!, isGrpc ? body.ToArray()[FrameHeader..] : body.ToArray());
        }

        // An empty message: everything was taken.
        if (isGrpc)
        {
            context.Response.ContentType = "application/grpc";
            await context.Response.Body.WriteAsync(new byte[FrameHeader], context.RequestAborted);
            context.Response.AppendTrailer("grpc-status", status == HttpStatusCode.OK ? "0" : "14"); // UNAVAILABLE
        }
        else
        {
            context.Response.StatusCode = (int)status;
            context.Response.ContentType = "application/x-protobuf";
        }
    }

    /// <summary>Of /v1/traces, and of /opentelemetry.proto.collector.trace.v1.TraceService/Export.</summary>
    private static string? SignalOf(PathString path) =>
        path.Value!.Contains("trace", StringComparison.Ordinal) ? "traces"
        : path.Value.Contains("metrics", StringComparison.Ordinal) ? "metrics"
        : path.Value.Contains("logs", StringComparison.Ordinal) ? "logs"
        : null;
}
