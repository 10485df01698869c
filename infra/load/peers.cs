#:sdk Microsoft.NET.Sdk.Web
#:property PublishAot=false
// What the gateway is measured beside: an upstream that answers at once, and a forwarding proxy of a few lines that checks nothing.
// usage: dotnet peers.dll upstream PORT | forward PORT UPSTREAM
using System.Net;

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.WebHost.UseUrls($"http://127.0.0.1:{args[1]}");
var app = builder.Build();
if (args[0] == "upstream")
{
    var answer = """{"jobs":[{"id":"job-1","title":"Gardener"},{"id":"job-2","title":"Baker"}]}"""u8.ToArray();
    app.Run(context =>
    {
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = answer.Length;
        return context.Response.Body.WriteAsync(answer).AsTask();
    });
}
else
{
    var http = new HttpMessageInvoker(
        new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, UseProxy = false, ActivityHeadersPropagator = null });
    app.Run(async context =>
    {
        using var request = new HttpRequestMessage(HttpMethod.Parse(context.Request.Method), args[2] + context.Request.Path + context.Request.QueryString);
        foreach (var (name, values) in context.Request.Headers.Where(header => header.Key is not ("Host" or "Connection")))
        {
            request.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values);
        }

        using var response = await http.SendAsync(request, context.RequestAborted);
        context.Response.StatusCode = (int)response.StatusCode;
        foreach (var (name, values) in response.Headers.NonValidated.Concat(response.Content.Headers.NonValidated))
        {
            context.Response.Headers[name] = values.ToArray();
        }

        await response.Content.CopyToAsync(context.Response.Body, context.RequestAborted);
    });
}

app.Run();
