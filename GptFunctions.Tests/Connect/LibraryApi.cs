using System.Collections.Concurrent;
using System.Globalization;
using GptFunctions.Tests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace GptFunctions.Tests.Connect;

/// <summary>The API that library.yaml describes, on a port of its own; it serves the document as well.</summary>
internal sealed class LibraryApi : IAsyncDisposable
{
    private readonly WebApplication app;

    private LibraryApi(WebApplication app, string url) => (this.app, Url) = (app, url);

    public static string Document { get; } = Path.Combine(TestServices.RepositoryRoot, "GptFunctions.Tests", "Connect", "library.yaml");

    public string Url { get; }

    /// <summary>Method, path, who called and with which key, of each call.</summary>
    public ConcurrentQueue<string> Calls { get; } = new();

    public static async Task<LibraryApi> StartAsync()
    {
        var url = string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{TestApp.FreePort()}");
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(url);
        var api = new LibraryApi(builder.Build(), url);
        api.app.MapGet("/openapi.yaml", () => Results.Text(File.ReadAllText(Document), "application/yaml"));
        api.app.MapGet(
            "/v1/books",
            (HttpRequest request) => api.Answer(request, new { books = new[] { new { isbn = "1", title = request.Query["title"].ToString() } } }));
        api.app.MapPost("/v1/loans", (HttpRequest request) => api.Answer(request, new { id = "loan-1", until = "2030-01-01" }));
        api.app.MapDelete("/v1/loans/{id}", (HttpRequest request) => api.Answer(request, new { given = "back" }));
        await api.app.StartAsync();
        return api;
    }

    public ValueTask DisposeAsync() => app.DisposeAsync();

    private IResult Answer(HttpRequest request, object body)
    {
        Calls.Enqueue(
            $"{request.Method} {request.Path} user={request.Headers["x-internal-id"]} key={request.Headers["x-library-key"]} "
                + $"token={request.Headers.ContainsKey("Authorization")}");
        return Results.Json(body);
    }
}
