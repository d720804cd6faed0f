"""Which column means what, by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from relabel.datasets.table.columns import choose, parse
from relabel.errors import InputError, OptionError


class TestParse:
    """relabel.datasets.table.columns.parse"""

    def test_good(self) -> None:
        """Blanks do not count, and a column may have any name without a comma."""
        assert parse(" key = id , heading=north deg,") == {"key": "id", "heading": "north deg"}

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("key", "expected ROLE=COLUMN"),
            ("key=", "expected ROLE=COLUMN"),
            ("colour=red", "no role 'colour'; roles are key, x, y"),
            ("key=a,key=b", "key is given twice"),
        ],
    )
    def test_bad(self, text: str, message: str) -> None:
        """A part that cannot be is shown."""
        with pytest.raises(OptionError, match=message):
            parse(text)


class TestChoose:
    """relabel.datasets.table.columns.choose"""

    @pytest.mark.parametrize(
        ("header", "found"),
        [
            ("id,longitude,latitude,northdeg", "key=id,lon=longitude,lat=latitude,heading=northdeg"),
            ("photo,gps_lon,gps_lat,bearing", "key=photo,lon=gps_lon,lat=gps_lat,heading=bearing"),
            ("Image,lng,lat,Azimuth,hfov", "key=Image,lon=lng,lat=lat,heading=Azimuth,fov=hfov"),
            ("Image,Easting,Northing,YAW", "key=Image,x=Easting,y=Northing,heading=YAW"),
            ("path,x,y,ca,fov,radius_m", "key=path,x=x,y=y,heading=ca,fov=fov,radius=radius_m"),
            ("Image ID,UTM East,utm-north,compassAngle", "key=Image ID,x=UTM East,y=utm-north,heading=compassAngle"),
            ("image_id,UTMx,UTMy,northdeg,is_pano", "key=image_id,x=UTMx,y=UTMy,heading=northdeg,pano=is_pano"),
            ("key,id,lon,lat,heading,ca", "key=key,lon=lon,lat=lat,heading=heading"),
        ],
    )  # fmt: skip
    def test_usual(self, header: str, found: str) -> None:
        """Usual names are known in any case; the name of the role itself goes before the others."""
        assert choose(Path("t.csv"), header.split(","), {}, in_crs=False) == parse(found)

    def test_exiftool(self) -> None:
        """What `exiftool -csv` writes of the places of photographs."""
        header = ["SourceFile", "GPSLatitude", "GPSLongitude", "GPSImgDirection", "GPSAltitude"]
        roles = choose(Path("t.csv"), header, {}, in_crs=False)
        assert roles == dict(zip(("key", "lat", "lon", "heading", "up"), header, strict=True))

    def test_xml(self) -> None:
        """A GPX file is one long column; none of it is in the error."""
        with pytest.raises(InputError, match="is XML, as it seems") as caught:
            choose(Path("t.gpx"), ['<?xml version="1.0"?><gpx>' + "<trkpt/>" * 999], {}, in_crs=False)
        assert "trkpt" not in str(caught.value)

    def test_long_header(self) -> None:
        with pytest.raises(InputError) as caught:
            choose(Path("t.csv"), [f"feature_{i}" for i in range(4096)], {}, in_crs=False)
        assert "feature_9, " in str(caught.value)
        assert "… (4096 in all); name them with --columns" in str(caught.value)
        assert len(str(caught.value)) < 1000

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            ("id,name,x,y,heading", r"which column is the key is ambiguous: id, name; .*--columns key=id"),
            ("key,x,y,ca,yaw", r"which column is the heading is ambiguous: ca, yaw"),
            ("x,y,heading", r"no column of keys, only x, y, heading; name it with --columns key=NAME"),
            ("key,x,y", r"no column of headings, only key, x, y; .*--columns heading=NAME.*kitti, kitti360, tum"),
            ("key,heading", r"no position, only key, heading.*x=NAME,y=NAME.*lon=NAME,lat=NAME"),
            ("key,x,heading", r"no position, .*x alone is half of one"),
            ("key,lat,y,heading", r"no position"),
            (
                "place,when",
                r"no column of keys, no position and no column of headings, .*key=NAME,x=NAME,y=NAME,heading=NAME",
            ),
            ("x,y,when", r"no column of keys and no column of headings, .*--columns key=NAME,heading=NAME$"),
        ],
    )
    def test_missing(self, header: str, message: str) -> None:
        """What is missing or ambiguous is told, with the columns that there are and the option to name one."""
        with pytest.raises(InputError, match=message):
            choose(Path("t.csv"), header.split(","), {}, in_crs=False)

    def test_both_positions(self) -> None:
        """Of x, y and lon, lat those are taken that the user names, or whose reference system is known."""
        header = ["key", "x", "y", "lon", "lat", "heading"]
        assert "lon" in choose(Path("t"), header, {}, in_crs=False)
        assert "x" in choose(Path("t"), header, {}, in_crs=True)
        assert "x" in choose(Path("t"), header, {"x": "x", "y": "y"}, in_crs=False)
        assert "lon" in choose(Path("t"), header, {"lon": "lon", "lat": "lat"}, in_crs=True)
        with pytest.raises(InputError, match="give only one of them"):
            choose(Path("t"), header, {"lon": "lon", "lat": "lat", "x": "x", "y": "y"}, in_crs=True)

    def test_half_chosen(self) -> None:
        """A choice of x alone needs a y."""
        with pytest.raises(InputError, match=r"column of x \(a\) but none of y"):
            choose(Path("t"), ["key", "a", "b", "lon", "lat", "heading"], {"x": "a"}, in_crs=False)
