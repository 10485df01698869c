using GptFunctions.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Net.Http.Headers;

namespace GptFunctions.Pages;

/// <summary>The company's own picture, for the pages; and the page at the address of the service itself.</summary>
internal sealed class BrandFunctions(Brand brand, IFrontPage front)
{
    [Function("BrandLogo")]
    public IResult Logo([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "brand/logo")] HttpRequest request)
    {
        if (brand.Logo is not { } logo)
        {
            return Problem.Refuse(
                request.HttpContext, RefusalReason.NotFound, StatusCodes.Status404NotFound, "Not found", "There is no logo: BRAND_LOGO names none.");
        }

        var headers = request.HttpContext.Response.Headers;
        // While replicas change from one picture to the next, one may be asked for what it does not have: that must not stay.
        headers.CacheControl = request.Query["v"] == logo.Version ? "public, max-age=31536000, immutable" : "public, max-age=60";
        if (logo.IsDocument)
        {
            headers.ContentSecurityPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'";
        }

        return Results.Bytes(logo.Content, logo.ContentType, entityTag: new EntityTagHeaderValue($"\"{logo.Version}\""));
    }

    // The Functions host has no route that is empty: this one is, because its parameter may be missing and has no characters.
    [Function("FrontPage")]
    public Task<IResult> FrontAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "{nothing:maxlength(0)?}")] HttpRequest request) =>
        front.ShowAsync(request.HttpContext);
}
