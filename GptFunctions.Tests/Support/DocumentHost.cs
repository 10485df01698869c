using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace GptFunctions.Tests.Support;

/// <summary>A site of a client's maker, on a loopback address: it publishes documents and keys, and misbehaves on demand.</summary>
internal sealed class DocumentHost : IAsyncDisposable
{
    private readonly WebApplication server;
    private readonly ConcurrentDictionary<string, int> asked = new(StringComparer.Ordinal);

    private DocumentHost(WebApplication server)
    {
        this.server = server;
        server.Run(context =>
        {
            asked.AddOrUpdate(context.Request.Path, 1, (_, count) => count + 1);
            LastAccept = context.Request.Headers.Accept.ToString();
            return Answer(context);
        });
    }

    public string Url => server.Urls.First();

    public string? LastAccept { get; private set; }

    /// <summary>What it answers with.</summary>
    public Func<HttpContext, Task> Answer { get; set; } = context =>
    {
        context.Response.StatusCode = 404;
        return Task.CompletedTask;
    };

    public static async Task<DocumentHost> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{TestApp.FreePort()}"); // never one of an earlier host, whose documents an app may remember
        var host = new DocumentHost(builder.Build());
        await host.server.StartAsync();
        return host;
    }

    /// <summary>How often a path was asked for.</summary>
    public int Asked(string path) => asked.GetValueOrDefault(path);

    /// <summary>Answers with this JSON at a path, and 404 elsewhere.</summary>
    public void Publish(params (string Path, string Json)[] documents) => Answer = context =>
    {
        var json = documents.FirstOrDefault(document => document.Path == context.Request.Path).Json;
        context.Response.StatusCode = json is null ? 404 : 200;
        context.Response.ContentType = "application/json";
        return json is null ? Task.CompletedTask : context.Response.WriteAsync(json);
    };

    public void Fail(int status) => Answer = context =>
    {
        context.Response.StatusCode = status;
        return Task.CompletedTask;
    };

    public async ValueTask DisposeAsync() => await server.DisposeAsync();
}
